"""What to be careful about, case by case."""

from pathlib import Path
from typing import Any

import pytest

from search.analysis.cautions import (
    at_the_edge,
    cautions,
    many_failures,
    repetitions,
    too_few_trials,
    within_noise,
)
from search.analysis.noise import Deviation, Sample
from search.analysis.verdict import Leader
from search.config.study import StudySpec
from search.records.trials import TrialRecord
from tests.unit.search.report.made import FILE, made_spec
from tests.unit.search.sample_records import trial


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    return made_spec(tmp_path)


def with_values(**values: Any) -> TrialRecord:
    inside = {"depth": 2, "output_width": 32, "hidden_width_1": 64, "learning_rate": 0.1}
    inside["embedding_dimension"] = 32
    return trial(7, parameters=inside | values)


def valued(number: int, value: float) -> TrialRecord:
    return trial(number, value=value)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"depth": 4}, "depth = 4 (high)"),
        ({"embedding_dimension": 128}, "embedding dimension = 128 (high)"),
        ({"output_width": 16}, "output width = 16 (low)"),
        ({"learning_rate": 0.95}, "learning rate = 0.95 (high)"),
        ({"learning_rate": 0.0055}, "learning rate = 0.0055 (low)"),
        ({"output_width": 256, "hidden_width_1": 256}, "output width = 256 (high)"),
        pytest.param({}, "", id="inside"),
        pytest.param({"depth": 1}, "", id="nothing is beyond"),
    ],
)
def test_a_value_at_an_end_is_named(values: dict[str, float], named: str, spec: StudySpec) -> None:
    said = at_the_edge([with_values(**values)], spec)
    assert said == (
        [
            f"The best trial, 7, lies at the edge of the space: {named}; a better value may lie "
            "beyond."
        ]
        if named
        else []
    )


def test_a_fixed_value_has_no_edge(tmp_path: Path) -> None:
    fixed = made_spec(tmp_path, FILE + "[space]\nembedding_dimension = { low = 32, high = 32 }")
    assert at_the_edge([with_values()], fixed) == []


def test_many_failures_are_counted_with_their_reason_unless_they_were_made_good() -> None:
    failed = [trial(number, "failed") for number in range(2)]
    [line] = many_failures([*failed, *(trial(number) for number in range(2, 10))])
    assert line.startswith("2 of 10 trials failed, 2 of them with: train_loss is not finite")
    assert many_failures([trial(0, "failed"), *map(trial, range(1, 12))]) == []
    assert many_failures([trial(0, "interrupted"), trial(1)]) == []
    failed = [trial(0, "failed"), trial(1, "failed"), trial(2, "failed", retry_of=0)]
    assert many_failures([*failed, trial(3, retry_of=0), trial(4, retry_of=1)]) == []
    [line] = many_failures([*failed, trial(3, retry_of=0)])
    assert line.startswith("1 of 2 trials failed")


def test_repeated_configurations_are_counted() -> None:
    same = {"depth": 1, "learning_rate": 0.05}
    trials = [trial(0, parameters=same), trial(1, parameters=same), trial(2)]
    assert repetitions(trials) == [
        "1 of 3 trials repeats a configuration: 2 different ones were tried."
    ]
    assert repetitions(trials[1:]) == []


def test_a_pruner_and_a_sampler_that_still_wait(spec: StudySpec) -> None:
    pruner, sampler = too_few_trials([trial(0), trial(1)], spec)
    assert "needs 5 complete trials before it decides and has 2" in pruner
    assert "'tpe' starts with 10 trials" in sampler
    assert not [*too_few_trials([*map(trial, range(11))], spec), *too_few_trials([], spec)]


def test_a_single_seed_cannot_tell_the_first_from_the_second() -> None:
    [line] = within_noise([valued(3, 0.30), valued(1, 0.29), valued(2, 0.20)], None)
    assert line.startswith("Trial 3 is ahead of trial 1 by 0.0100, each trained with a single seed")


def test_with_a_known_noise_the_near_trials_are_named() -> None:
    trials = [valued(0, 0.3), valued(1, 0.29), valued(2, 0.266), valued(3, 0.264)]
    [line] = within_noise(
        trials, Deviation(0.0107, 8)
    )  # t(0.975, 8) = 2.3060, * sqrt(2) * 0.0107 = 0.0349
    assert line.startswith("Trials 1, 2 cannot be told from the best, trial 0")
    assert "0.0349" in line
    assert within_noise(trials, Deviation(0.001, 8)) == []


def test_cautions_name_what_diverged_and_an_empty_study_needs_none(spec: StudySpec) -> None:
    trials = [trial(number, "diverged" if number > 5 else "complete") for number in range(9)]
    said = cautions(trials, spec)
    assert any(line.startswith("3 of 9 trials diverged: all with") for line in said)
    assert cautions([], spec) == within_noise([valued(0, 0.3)], None) == []


def test_after_a_confirmation_the_confirmed_trial_is_spoken_of(spec: StudySpec) -> None:
    trials = [valued(0, 0.36), valued(1, 0.34), valued(2, 0.33), valued(3, 0.2)]
    leader = Leader(number=1, sample=Sample((0.33, 0.34)), others={0: Sample((0.2, 0.3))})
    [line] = within_noise(trials, Deviation(0.0107, 8), leader)
    assert line.startswith("Trial 2 cannot be told from the confirmed one, trial 1, by what the")
    assert within_noise(trials, None, leader) == []
    edge = [with_values(), trial(8, value=0.2, parameters={"depth": 4})]
    [line] = at_the_edge(edge, spec, Leader(number=8, sample=Sample((0.2,))))
    assert line.startswith("The confirmed trial, 8, lies at the edge of the space: depth = 4")
