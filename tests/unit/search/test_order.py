"""Places: what random draws are seeded by, whatever was interrupted and whoever runs it."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from search.order import enqueue_next, place_of, place_of_next
from search.stale import mark_interrupted
from tests.unit.search.specs import small_spec


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize")


def finish(study: optuna.Study, trial: optuna.Trial) -> None:
    study.tell(trial, 0.3)


def interrupt(study: optuna.Study, trial: optuna.Trial) -> None:
    mark_interrupted(study, trial, "terminated")
    study.tell(trial, state=TrialState.FAIL)


def run_again(study: optuna.Study, trial: optuna.Trial, first: int | None = None) -> optuna.Trial:
    attributes = {
        "retry_of": trial.number if first is None else first,
    }
    study.enqueue_trial({}, user_attrs=attributes)
    return study.ask()


def places(study: optuna.Study) -> list[int]:
    trials = study.get_trials(deepcopy=False)
    return [place_of(trials, trial.number) for trial in trials]


def next_place(study: optuna.Study) -> int:
    return place_of_next(study.get_trials(deepcopy=False))


def test_without_interruptions_the_place_is_the_number(study: optuna.Study) -> None:
    for number in range(3):
        assert next_place(study) == number
        finish(study, study.ask())
    assert places(study) == [0, 1, 2]


def test_a_failed_trial_takes_a_place(study: optuna.Study) -> None:
    study.tell(study.ask(), state=TrialState.FAIL)
    assert next_place(study) == 1


def test_a_new_try_takes_the_place_of_the_first(study: optuna.Study) -> None:
    finish(study, study.ask())
    first = study.ask()
    interrupt(study, first)
    assert next_place(study) == 1
    second = run_again(study, first)
    interrupt(study, second)
    assert next_place(study) == 1
    finish(study, run_again(study, second, first=first.number))
    assert next_place(study) == 2
    assert places(study) == [0, 1, 1, 1]


def test_workers_share_no_place_when_an_early_trial_is_interrupted_late(
    study: optuna.Study,
) -> None:
    early, later = study.ask(), study.ask()
    finish(study, study.ask())
    interrupt(study, early)
    assert places(study) == [0, 1, 2], "nobody's place changes by that"
    assert next_place(study) == 0
    again = run_again(study, early)
    assert next_place(study) == 3
    finish(study, study.ask())
    assert places(study) == [0, 1, 2, 0, 3]
    for trial in (later, again):
        finish(study, trial)
    assert places(study) == [0, 1, 2, 0, 3]


def test_a_waiting_trial_comes_first_with_its_own_place(study: optuna.Study) -> None:
    finish(study, study.ask())
    study.enqueue_trial({"learning_rate": 0.5})
    assert next_place(study) == 1
    finish(study, study.ask())
    assert next_place(study) == 2


def test_what_is_enqueued_next_has_the_place_that_was_foretold(
    study: optuna.Study, tmp_path: Path
) -> None:
    spec = small_spec(tmp_path)
    for _ in range(2):
        foretold = next_place(study)
        assert enqueue_next(study, study.get_trials(deepcopy=False), spec)
        trial = study.ask()
        assert places(study)[trial.number] == foretold
        interrupt(study, trial)
    foretold = next_place(study)
    assert foretold == 0
    enqueue_next(study, study.get_trials(deepcopy=False), spec)
    assert places(study)[study.ask().number] == foretold
