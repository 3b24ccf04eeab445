"""Trials that belong to nobody: closed, run again, given up."""

import optuna
import pytest
from optuna.trial import TrialState

from search.scheduling.stale import close_stale, everybody_gone, gone, mark_interrupted, supersede
from search.storage.attributes import WORKER
from search.storage.trials import records, superfluous, to_run_again


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize")


def begin(study: optuna.Study, worker: str | None = "a", **attributes: object) -> optuna.Trial:
    if attributes:
        study.enqueue_trial({}, user_attrs=attributes)
    trial = study.ask()
    if worker is not None:
        trial.set_user_attr(WORKER, worker)
    return trial


def again(study: optuna.Study) -> int | None:
    trial = to_run_again(study.get_trials(deepcopy=False))
    return None if trial is None else trial.number


def states(study: optuna.Study) -> list[str]:
    return [record.state for record in records(study)]


def test_trials_of_the_dead_and_the_silent_and_of_nobody_are_closed(study: optuna.Study) -> None:
    for worker in ("alive", "dead", "silent", None):
        begin(study, worker)
    closed = close_stale(study, gone(dead={"dead"}, silent={2}), reason="the worker died")
    assert [trial.number for trial in closed] == [1, 2, 3]
    assert states(study) == ["running", "interrupted", "interrupted", "interrupted"]
    assert records(study)[1].reason == "the worker died"
    assert again(study) == 1


def test_the_second_death_gives_a_configuration_up(study: optuna.Study) -> None:
    begin(study)
    close_stale(study, everybody_gone)
    assert again(study) == 0
    begin(study, retry_of=0)
    [closed] = close_stale(study, everybody_gone)
    assert closed.is_given_up
    assert closed.line == (
        "trial 1 failed: 2 processes died with it; the configuration is given up (trials 0, 1)"
    )
    assert states(study) == ["interrupted", "failed"]
    assert records(study)[1].reason == "2 processes died with it; the configuration is given up"
    assert again(study) is None


def test_deaths_before_a_trial_began_and_tidy_ends_do_not_count(study: optuna.Study) -> None:
    begin(study, worker=None)
    close_stale(study, everybody_gone)
    stopped = begin(study, retry_of=0)
    mark_interrupted(study, stopped, "terminated")
    study.tell(stopped, state=TrialState.FAIL)
    begin(study, retry_of=0)
    [closed] = close_stale(study, everybody_gone)
    assert not closed.is_given_up
    assert again(study) == 2


def test_what_the_system_ended_for_want_of_memory_fails_and_does_not_run_again(
    study: optuna.Study,
) -> None:
    begin(study)
    begin(study, worker=None)
    first, second = close_stale(study, everybody_gone, out_of_memory=True)
    assert first.line == "trial 0 failed: the system ended its process for want of memory"
    assert not second.is_given_up, "it had not begun"
    assert states(study) == ["failed", "interrupted"]
    assert [record.out_of_memory for record in records(study)] == [True, False]
    assert again(study) == 1


def test_a_trial_that_was_told_meanwhile_stays_as_it_was_told(study: optuna.Study) -> None:
    trial = begin(study)

    def told_meanwhile(_trial: optuna.trial.FrozenTrial) -> bool:
        study.tell(trial, 0.5)
        return True

    assert close_stale(study, told_meanwhile) == []
    assert states(study) == ["complete"]
    assert records(study)[0].reason is None


def test_a_mark_on_a_trial_that_completes_all_the_same_means_nothing(study: optuna.Study) -> None:
    trial = begin(study)
    mark_interrupted(study, trial, "silent")
    study.tell(trial, 0.5)
    assert states(study) == ["complete"]
    assert records(study)[0].reason is None
    assert again(study) is None


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.FAIL])
def test_a_configuration_that_another_try_settled_does_not_run_again(
    study: optuna.Study, state: TrialState
) -> None:
    begin(study)
    close_stale(study, everybody_gone)
    study.tell(begin(study, retry_of=0), 0.5 if state == TrialState.COMPLETE else None, state)
    assert again(study) is None


def test_a_configuration_that_runs_or_waits_is_not_queued_again(study: optuna.Study) -> None:
    begin(study, reference="tutorial")
    close_stale(study, everybody_gone)
    study.enqueue_trial({}, user_attrs={"retry_of": 0, "reference": "tutorial"})
    assert again(study) is None
    study.ask()
    assert again(study) is None


def test_a_superseded_trial_leaves_its_configuration_to_others(study: optuna.Study) -> None:
    begin(study, reference="tutorial")
    close_stale(study, everybody_gone)
    supersede(study, begin(study, retry_of=0, reference="tutorial"))
    assert states(study) == ["interrupted", "interrupted"]
    assert again(study) == 0


def test_a_configuration_that_waits_twice_or_is_settled_is_superfluous(
    study: optuna.Study,
) -> None:
    study.tell(begin(study, reference="settled"), 0.5)
    for reference in ("settled", "new", "new"):
        study.enqueue_trial({}, user_attrs={"reference": reference})
    found = superfluous(study.get_trials(deepcopy=False))
    assert [trial.number for trial in found] == [1, 3]
    for trial in found:
        supersede(study, trial)
    assert states(study) == ["complete", "interrupted", "waiting", "interrupted"]
