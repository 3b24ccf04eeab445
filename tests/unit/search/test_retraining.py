"""Re-training: which trial, and how its result is shown. The training itself is a flow test."""

import io

import pytest
from rich.console import Console

from search.errors import InputError
from search.retrained import RetrainRecord
from search.retraining import chosen_trial, result_table
from search.trials import TrialState
from tests.unit.search.records import trial

# --- which trial ------------------------------------------------------------------------------


def test_the_best_is_chosen_unless_one_is_named() -> None:
    trials = [trial(0, value=0.3), trial(1, value=0.34), trial(2, "pruned", value=0.9)]
    assert chosen_trial(trials, None) is trials[1]
    assert chosen_trial(trials, 0) is trials[0]


def test_a_pruned_trial_can_be_chosen() -> None:
    trials = [trial(0), trial(1, "pruned")]
    assert chosen_trial(trials, 1) is trials[1]


@pytest.mark.parametrize("trials", [[], [trial(0, "pruned"), trial(1, "failed")]])
def test_without_a_complete_trial_there_is_no_best(trials: list[object]) -> None:
    with pytest.raises(InputError, match="no complete trial yet; search it first"):
        chosen_trial(trials, None)  # type: ignore[arg-type]


def test_a_trial_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(InputError, match=r"a trial of the study \(0 to 1\) but got 2"):
        chosen_trial([trial(0), trial(1)], 2)
    with pytest.raises(InputError, match=r"a trial of the study \(none\) but got 0"):
        chosen_trial([], 0)


@pytest.mark.parametrize("state", ["waiting", "running", "failed", "interrupted"])
def test_a_trial_that_did_not_finish_is_refused(state: TrialState) -> None:
    with pytest.raises(InputError, match=rf"must be a finished trial .* but trial 1 is {state}"):
        chosen_trial([trial(0), trial(1, state)], 1)


def test_why_it_did_not_finish_is_said() -> None:
    with pytest.raises(InputError, match=r"is failed \(train_loss is not finite at epoch 3\)"):
        chosen_trial([trial(0, "failed")], 0)


# --- its result -------------------------------------------------------------------------------


def test_the_result_has_validation_and_test_side_by_side() -> None:
    chosen = trial(3, value=0.3412, best_epoch=25)
    record = RetrainRecord(
        trial=3,
        parameters=chosen.parameters,
        derived=chosen.derived,
        epochs=25,
        seed=5,
        metrics={"test_top_100_accuracy": 0.3456, "test_loss": 0.07},
        references={"popularity_test_top_100_accuracy": 0.4321},
        started_ms=0,
        ended_ms=1,
    )
    console = Console(file=io.StringIO(), width=80)
    console.print(result_table(record, chosen))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    cells = [line.split() for line in shown.splitlines() if line.strip(" ─")]
    assert cells == [
        ["top-100", "accuracy", "validation", "test"],
        ["trial", "3", "(64,", "32),", "25", "epochs", "0.3412", "0.3456"],
        ["popularity", "0.4321"],
    ]
