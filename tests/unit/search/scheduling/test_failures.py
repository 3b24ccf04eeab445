"""Whose fault a failure is, and what runs again for it."""

import errno
import re
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from deeprec.errors import NonFiniteError
from search.scheduling.failures import environment_fault, excused
from search.scheduling.stale import mark_interrupted
from search.storage.attributes import ERROR
from search.storage.trials import records, was_interrupted
from tests.unit.search.claims import Behavior, good
from tests.unit.search.execution.test_loop import Bench


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full .*; make room"),
        (PermissionError(errno.EACCES, "Permission denied", "towers"), "Permission denied: 'tow"),
        (ModuleNotFoundError("No module named 'h5py'"), "no fault of the trial: No module named"),
        (OSError(), "no fault of the trial: OSError; mend it"),
    ],
)
def test_what_no_configuration_can_cause_is_said_with_its_remedy(
    error: Exception, said: str
) -> None:
    reason = environment_fault(error)
    assert reason is not None
    assert reason.endswith("start the same command again")
    assert re.search(said, reason)


@pytest.mark.parametrize(
    "error", [NonFiniteError("train_loss", 1, 1), MemoryError(), ValueError("rank"), TypeError()]
)
def test_what_a_configuration_may_cause_is_its_own(error: Exception) -> None:
    assert environment_fault(error) is None


def failing_with(error: str, *numbers: int) -> Behavior:
    """The trials of these numbers fail, or all of them, as the objective would note it."""

    def behave(trial: optuna.Trial) -> float:
        if numbers and trial.number not in numbers:
            return good(trial)
        raise TypeError(error)

    return behave


def again(bench: Bench) -> list[int]:
    """The first tries of what was run again."""
    return [trial.retry_of for trial in records(bench.study) if trial.retry_of is not None]


def test_what_failed_in_a_broken_environment_runs_again_once_it_is_mended(tmp_path: Path) -> None:
    undisturbed, bench = Bench(tmp_path), Bench(tmp_path)
    undisturbed.run()
    assert bench.run(failing_with("TypeError")).state == "failing"
    assert bench.run(failing_with("TypeError")).state == "failing", "it is as broken as before"
    assert (bench.states, again(bench)) == (["failed"] * 10, [0, 1, 2, 3, 4])
    assert bench.run().state == "complete"
    finished = [record.parameters for record in records(bench.study) if record.is_finished]
    assert finished == [record.parameters for record in records(undisturbed.study)]
    references = [trial.reference for trial in records(bench.study) if trial.is_finished]
    assert references[:2] == ["reference (8,)", "reference (8, 4)"]


def test_failures_of_single_configurations_are_theirs(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.run(failing_with("TypeError", 0, 1, 3)).state == "complete"
    assert bench.run().state == "complete"
    assert again(bench) == []


def study_of(*errors: str | None) -> optuna.Study:
    """A study whose trials failed with these errors; None: one that finished."""
    study = optuna.create_study(direction="maximize")
    for error in errors:
        trial = study.ask()
        if error is None:
            study.tell(trial, 0.3)
            continue
        if error == "interrupted":
            mark_interrupted(study, trial, error)
        elif error != "diverged":
            trial.set_user_attr(ERROR, error)
        study.tell(trial, state=TrialState.FAIL)
    return study


@pytest.mark.parametrize(
    ("errors", "limit", "numbers"),
    [
        (["A", "A", "A"], 3, [0, 1, 2]),
        (["A", "A", "A"], 4, []),
        (["A", "A"], 1, []),  # two say nothing, however little the study bears
        (["A", "A", "B", "A"], 3, []),
        (["A", None, "A", "A"], 3, []),
        (["diverged", "diverged", "diverged"], 3, []),
        ([None, "A", "interrupted", "A", "A", "B", None], 3, [1, 2, 3, 4]),
    ],
)
def test_only_a_row_of_one_error_is_excused(
    errors: list[str | None], limit: int, numbers: list[int]
) -> None:
    trials = study_of(*errors).get_trials(deepcopy=False)
    found = [trial.number for trial in excused(trials, limit) if was_interrupted(trial)]
    assert found == numbers
    assert sum(map(was_interrupted, trials)) == errors.count("interrupted"), "they stay as stored"


def test_one_configuration_tried_again_and_again_excuses_nothing() -> None:
    study = study_of("A")
    for _ in range(4):
        study.enqueue_trial({}, user_attrs={"retry_of": 0, ERROR: "A"})
        study.tell(study.ask(), state=TrialState.FAIL)
    assert not any(map(was_interrupted, excused(study.trials, 3)))
