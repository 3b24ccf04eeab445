"""Trials of other studies: which are taken over, and as what."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from search.config.reading import override
from search.config.study import StudySpec
from search.records.errors import InputError
from search.storage.attributes import CURVE, RETRY_OF
from search.storage.database import Database
from search.storage.reuse import opened_sources, take_over
from search.storage.study import close_study, open_study
from search.storage.trials import records
from tests.unit.search.specs import small_spec

FINGERPRINT = "f" * 64
NARROW = {"depth": 1, "output_width_log2": 2, "embedding_dimension_log2": 2, "learning_rate": 0.05}
DEEP = NARROW | {"depth": 2, "hidden_width_1_log2": 3}


def trial(parameters: dict[str, Any], **options: Any) -> optuna.trial.FrozenTrial:
    """A finished trial with these parameters, and ranges around them."""
    ranges: dict[str, BaseDistribution] = {
        name: IntDistribution(0, 10) if isinstance(value, int) else FloatDistribution(0, 10)
        for name, value in parameters.items()
    }
    state = options.pop("state", TrialState.COMPLETE)
    value = 0.3 if state == TrialState.COMPLETE else None
    return optuna.trial.create_trial(
        params=parameters, distributions=ranges, value=value, state=state, **options
    )


@pytest.fixture
def source(tmp_path: Path) -> Iterator[optuna.Study]:
    """A study named small, as a search leaves it but for its trials."""
    spec = small_spec(tmp_path)
    study = open_study(Database.in_folder(tmp_path, "small"), spec, FINGERPRINT, "source")
    yield study
    close_study(study)


def wider(folder: Path, *changes: tuple[str, str]) -> StudySpec:
    """A study with another space and seed that begins with the trials of small."""
    space = ("width = { low = 4, high = 8 }", "width = { low = 4, high = 32 }")
    folder = folder / "wider"
    folder.mkdir()
    spec = small_spec(folder, ("seed = 3", "seed = 4\nname = 'wider'"), space, *changes)
    return override(spec, extends="small")


def extended(folder: Path, spec: StudySpec) -> tuple[optuna.Study, list[tuple[str, str]]]:
    """The study after it was created, and what that said."""
    database = Database.in_folder(folder, spec.name)
    with opened_sources(database, spec, FINGERPRINT) as sources:
        study = open_study(database, spec, FINGERPRINT, "wider")
        return study, take_over(study, spec, sources)


def test_finished_trials_are_trials_of_the_wider_study(
    source: optuna.Study, tmp_path: Path
) -> None:
    point = [[4, 1000, {"train_loss": 1.0, "val_top_100_accuracy": 0.3}]]
    kept = {CURVE: point, RETRY_OF: 0}
    source.add_trial(trial(NARROW, state=TrialState.FAIL, user_attrs={"interrupted": True}))
    source.add_trial(trial(NARROW, user_attrs=kept, intermediate_values={4: 0.3}))
    source.add_trial(trial(DEEP, state=TrialState.PRUNED, intermediate_values={1: 0.1}))
    study, lines = extended(tmp_path, wider(tmp_path))
    assert lines == [("small", "2 trials")]
    first, second = records(study)
    assert (first.taken_over, first.origin) == ("small/1", "small/1")
    assert (first.value, first.retry_of, first.curve[0].epoch) == (0.3, None, 4)
    assert (second.state, second.parameters["hidden_width_1"]) == ("pruned", 8)
    stored = study.trials[0]
    assert stored.intermediate_values == {4: 0.3}
    assert stored.distributions["output_width_log2"] == IntDistribution(2, 5), "as its space has it"
    assert stored.datetime_complete == source.trials[1].datetime_complete
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=1, seed=1)
    assert study.ask().number == 2, "and a sampler goes on from there"
    close_study(study)


def test_what_the_space_does_not_hold_is_left_out_and_counted(
    source: optuna.Study, tmp_path: Path
) -> None:
    for changed in (
        {},
        {"learning_rate": 0.5},
        {"learning_rate": 0.7},
        {"output_width_log2": 6},
        {"dropout": 0.5},
        {"dropout": 0.0},
    ):
        source.add_trial(trial(NARROW | changed))
    study, lines = extended(tmp_path, wider(tmp_path))
    assert lines == [
        (
            "small",
            "2 trials; left out: 2 outside of space.learning_rate, 1 outside of space.width, "
            "1 with another dropout than the study has",
        )
    ]
    assert "dropout" not in study.trials[1].params
    close_study(study)


def test_what_a_limit_spared_says_nothing_and_what_diverged_does(
    source: optuna.Study, tmp_path: Path
) -> None:
    source.add_trial(trial(NARROW, state=TrialState.PRUNED, user_attrs={"reason": "too large"}))
    source.add_trial(trial(DEEP, state=TrialState.PRUNED, user_attrs={"diverged": True}))
    study, lines = extended(tmp_path, wider(tmp_path))
    assert lines == [("small", "1 trial; left out: 1 not trained, as above a limit there")]
    assert [each.state for each in records(study)] == ["diverged"]
    close_study(study)


def test_a_new_dimension_had_the_value_that_nothing_was_said_of(
    source: optuna.Study, tmp_path: Path
) -> None:
    source.add_trial(trial(NARROW))
    dimension = ("learning_rate = {", "normalize = [true, false]\nlearning_rate = {")
    enqueued = ("learning_rate = 0.05", "learning_rate = 0.05\nnormalize = true")
    study, lines = extended(tmp_path, wider(tmp_path, dimension, enqueued))
    assert lines == [("small", "1 trial")]
    assert study.trials[0].params["normalize"] is False
    close_study(study)


def test_what_was_taken_over_is_not_taken_over_again(source: optuna.Study, tmp_path: Path) -> None:
    source.add_trial(trial(NARROW))
    spec = wider(tmp_path)
    study, _ = extended(tmp_path, spec)
    source.add_trial(trial(DEEP))  # as if the process had been killed in between
    with opened_sources(Database.in_folder(tmp_path, "wider"), spec, FINGERPRINT) as sources:
        assert take_over(study, spec, sources) == [("small", "1 trial")]
        assert take_over(study, spec, sources) == []
    assert [each.taken_over for each in records(study)] == ["small/0", "small/1"]
    close_study(study)


@pytest.mark.parametrize(
    ("change", "fingerprint", "why"),
    [
        (("epochs = 4", "epochs = 8"), FINGERPRINT, "training.epochs was 4, is 8"),
        (("trials = 6", "trials = 7"), "0" * 64, "the prepared data set .* is another"),
    ],
)
def test_trials_that_mean_something_else_are_refused(
    change: tuple[str, str], fingerprint: str, why: str, source: optuna.Study, tmp_path: Path
) -> None:
    spec = wider(tmp_path, change)
    with (
        pytest.raises(InputError, match=f"no trial of study 'small' can be taken over: {why}"),
        opened_sources(Database.in_folder(tmp_path, "wider"), spec, fingerprint),
    ):
        pytest.fail("it was opened")


def test_a_source_must_be_another_study_that_is_there(tmp_path: Path) -> None:
    spec = small_spec(tmp_path)
    with pytest.raises(
        InputError, match="--extends must be names of other studies but got 'small'"
    ):
        override(spec, extends="small")
    other = override(spec, extends="other")
    with (
        pytest.raises(InputError, match="there is no study 'other'.*search it first"),
        opened_sources(Database.in_folder(tmp_path, "small"), other, FINGERPRINT),
    ):
        pytest.fail("it was opened")
