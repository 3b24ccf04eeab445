"""What sync says it did."""

from search.commands.sync import what_was_done
from search.tracking.writing import LoggedResult, Reconciled
from tests.unit.search.sample_records import started, trial

TRIALS = [trial(0), trial(1), trial(2)]
WHOLE = LoggedResult(run_id="1", name="reference ease", how=None)


def test_nothing_was_missing_and_trials_that_run_are_left_alone() -> None:
    assert what_was_done(TRIALS, Reconciled(), [WHOLE], is_updated=False) == [
        "nothing was missing: MLflow holds 3 trials"
    ]
    lines = what_was_done([*TRIALS, started(trial(3))], Reconciled(), [], is_updated=False)
    assert lines[-1] == "left alone, as it runs: trial 3"


def test_everything_that_was_done_is_named() -> None:
    done = Reconciled(made=(2, 0), closed=(1,), completed=(4,), removed=(4,))
    made = LoggedResult(run_id="2", name="reference popularity", how="made")
    assert what_was_done(TRIALS, done, [WHOLE, made], is_updated=True) == [
        "made: trials 0, 2",
        "closed: trial 1",
        "completed: trial 4",
        "removed a second run: trial 4",
        "made: reference popularity",
        "completed: the run of the study",
    ]
