"""Where trials diverged, in words, case by case."""

from pathlib import Path
from typing import Any

import pytest

from search.analysis.cautions import diverged_trials, instability, unstable_region
from search.config.dimensions import Bounds
from search.records.trials import TrialRecord, TrialState
from tests.unit.search.report.made import made_spec
from tests.unit.search.sample_records import trial


@pytest.fixture
def bounds(tmp_path: Path) -> dict[str, Bounds]:
    return made_spec(tmp_path).space.bounds


def trials_with(*rates: tuple[float, TrialState], **others: Any) -> list[TrialRecord]:
    """A trial for each learning rate, of one depth."""
    return [
        trial(number, state, parameters={"depth": 2, "learning_rate": rate} | others)
        for number, (rate, state) in enumerate(rates)
    ]


HELD: list[tuple[float, TrialState]] = [(0.01 * n, "complete") for n in range(1, 9)]
HIGH: list[tuple[float, TrialState]] = [(0.1 * n, "diverged") for n in range(3, 9)]


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        pytest.param(
            [(0.01, "complete"), (0.2345, "pruned"), (0.24567, "diverged"), (0.9, "diverged")],
            "2 of 4 trials diverged: all with learning rate 0.24 and more, every trial there. That "
            "part of the space is unstable.",
            id="one limit tells them all",
        ),
        pytest.param(
            [*HELD, (0.3, "diverged"), (0.4, "complete"), (0.5, "diverged")],
            "2 of 11 trials diverged: all with learning rate 0.3 and more, 2 of the 3 trials there",
            id="one held beyond the limit",
        ),
        pytest.param(
            [(0.006, "diverged"), *HELD, *HIGH],
            "7 of 15 trials diverged: 6 of them with learning rate 0.3 and more",
            id="a stray one",
        ),
        pytest.param(
            [(0.01, "diverged"), *HELD[1:3], (0.5, "diverged"), (0.9, "complete")],
            "2 of 5 trials diverged: no limit of one parameter tells them apart; they have "
            "learning rate 0.01 to 0.5, depth 2.",
            id="no limit",
        ),
        pytest.param([(0.5, "diverged"), (0.9, "diverged")], "2 of 2 trials diverged: ", id="all"),
        pytest.param([(0.1, "complete"), (0.2, "failed")], "", id="none"),
    ],
)
def test_where_trials_diverged_is_said_in_a_sentence(
    rates: list[tuple[float, TrialState]], said: str, bounds: dict[str, Bounds]
) -> None:
    trials = trials_with(*rates)
    lines = instability(trials, bounds)
    assert len(lines) == bool(said)
    assert "".join(lines).startswith(said)
    assert (unstable_region(trials, bounds) is not None) == (" and more" in said)
    assert len(diverged_trials(trials)) == [state for _, state in rates].count("diverged")


def test_a_limit_may_be_an_upper_one_and_of_whole_numbers(bounds: dict[str, Bounds]) -> None:
    trials = [
        trial(
            number,
            "diverged" if size <= 32 else "complete",
            parameters={"embedding_dimension": size},
        )
        for number, size in enumerate((16, 32, 64, 128))
    ]
    region = unstable_region(trials, bounds)
    assert region is not None
    assert region.words == "embedding dimension 32 and less"
    assert (region.diverged, region.others) == (2, 0)


def test_of_equal_limits_the_learning_rate_is_named(bounds: dict[str, Bounds]) -> None:
    trials = [
        trial(
            number,
            "diverged" if number > 1 else "complete",
            parameters={"depth": 1 + number, "learning_rate": 0.1 * (1 + number)},
        )
        for number in range(4)
    ]
    region = unstable_region(trials, bounds)
    assert region is not None
    assert region.words == "learning rate 0.3 and more"


def test_a_single_one_makes_no_region(bounds: dict[str, Bounds]) -> None:
    trials = trials_with((0.01, "complete"), (0.9, "diverged"))
    assert unstable_region(trials, bounds) is None
    assert instability(trials, bounds) == [
        "1 of 2 trials diverged: trial 1 (layers (64, 32), learning rate 0.9)."
    ]
