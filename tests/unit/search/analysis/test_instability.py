"""Where trials diverged, in words, case by case."""

from pathlib import Path
from typing import Any

import pytest

from search.analysis.instability import (
    diverged_trials,
    instability,
    unstable_region,
)
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


def test_where_nothing_diverged_nothing_is_said(bounds: dict[str, Bounds]) -> None:
    assert instability([], bounds) == []
    assert instability(trials_with((0.1, "complete"), (0.2, "failed")), bounds) == []


def test_one_limit_that_tells_them_all_is_the_sentence(bounds: dict[str, Bounds]) -> None:
    trials = trials_with(
        (0.01, "complete"), (0.2345, "pruned"), (0.24567, "diverged"), (0.9, "diverged")
    )
    assert instability(trials, bounds) == [
        "2 of 4 trials diverged: all with learning rate 0.24 and more, every trial there. That "
        "part of the space is unstable."
    ]


def test_those_that_held_beyond_the_limit_are_counted_too(bounds: dict[str, Bounds]) -> None:
    healthy: list[tuple[float, TrialState]] = [(0.01 * n, "complete") for n in range(1, 9)]
    trials = trials_with(*healthy, (0.3, "diverged"), (0.4, "complete"), (0.5, "diverged"))
    [said] = instability(trials, bounds)
    assert "2 of 11 trials diverged: all with learning rate 0.3 and more, 2 of the 3" in said


def test_a_stray_one_does_not_hide_where_most_of_them_lie(bounds: dict[str, Bounds]) -> None:
    healthy: list[tuple[float, TrialState]] = [(0.01 * n, "complete") for n in range(1, 9)]
    high: list[tuple[float, TrialState]] = [(0.1 * n, "diverged") for n in range(3, 9)]
    [said] = instability(trials_with((0.006, "diverged"), *healthy, *high), bounds)
    assert "7 of 15 trials diverged: 6 of them with learning rate 0.3 and more" in said


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


def test_without_a_limit_the_ranges_are_said(bounds: dict[str, Bounds]) -> None:
    trials = trials_with(
        (0.01, "diverged"),
        (0.1, "complete"),
        (0.5, "diverged"),
        (0.02, "complete"),
        (0.9, "complete"),
    )
    assert instability(trials, bounds) == [
        "2 of 5 trials diverged: no limit of one parameter tells them apart; they have learning "
        "rate 0.01 to 0.5, depth 2."
    ]


def test_a_single_one_makes_no_region(bounds: dict[str, Bounds]) -> None:
    trials = trials_with((0.01, "complete"), (0.9, "diverged"))
    assert unstable_region(trials, bounds) is None
    assert instability(trials, bounds) == [
        "1 of 2 trials diverged: trial 1 (layers (64, 32), learning rate 0.9)."
    ]


def test_where_all_diverged_there_is_nothing_to_tell_them_from(bounds: dict[str, Bounds]) -> None:
    trials = trials_with((0.5, "diverged"), (0.9, "diverged"))
    assert unstable_region(trials, bounds) is None
    assert diverged_trials(trials) == trials
    assert instability(trials, bounds)[0].startswith("2 of 2 trials diverged: ")
