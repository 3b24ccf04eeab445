"""When a search has stalled: by hand, and as a rule for any number of workers and interruptions."""

from pathlib import Path
from typing import Any

import optuna
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.config.reading import override
from search.records.events import Outcome
from search.scheduling.stalling import stalled
from search.storage.attributes import DERIVED, INTERRUPTED, RETRY_OF
from tests.unit.search.claims import loop_of
from tests.unit.search.specs import small_spec


def numbered(*trials: FrozenTrial) -> list[FrozenTrial]:
    study = optuna.create_study()
    study.add_trials(trials)
    return study.get_trials()


def ended(value: float | None, *, retry_of: int | None = None) -> FrozenTrial:
    """A complete trial; one without a value was pruned."""
    return create_trial(
        value=value,
        state=TrialState.PRUNED if value is None else TrialState.COMPLETE,
        user_attrs={} if retry_of is None else {RETRY_OF: retry_of},
    )


RUNNING = create_trial(state=TrialState.RUNNING)
FAILED = create_trial(state=TrialState.FAIL)
CUT_OFF = create_trial(state=TrialState.FAIL, user_attrs={INTERRUPTED: True})


def test_so_many_trials_without_a_new_best_end_a_search() -> None:
    trials = [ended(value) for value in (0.1, 0.3, 0.3, None, 0.2)]
    assert stalled(numbered(*trials), 3) == "3 trials in a row brought no new best"
    assert stalled(numbered(*trials), 4) is None
    assert stalled(numbered(*trials), None) is None
    assert stalled(numbered(*trials[:-1]), 3) is None
    assert stalled([], 1) is None


def test_what_is_above_a_limit_is_no_new_best() -> None:
    sizes = [100, 300, 100]
    trials = [
        create_trial(value=value, user_attrs={DERIVED: {"parameter_count": size}})
        for value, size in zip((0.1, 0.3, 0.05), sizes, strict=True)
    ]
    assert stalled(numbered(*trials), 2, {"parameters": 200})
    assert stalled(numbered(*trials), 2, {"parameters": 300}) is None


def test_of_several_objectives_a_trial_is_new_that_none_before_is_as_good_as_by_all() -> None:
    values = [(0.3, 200.0), (0.2, 300.0), (0.2, 100.0), (0.2, 100.0), (0.3, 250.0)]
    trials = [create_trial(values=each) for each in values]
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trials(trials)
    several = study.get_trials()
    directions = ("maximize", "minimize")
    assert stalled(several, 2, {}, directions), "the third is smaller; the last two are not new"
    assert stalled(several[:4], 2, {}, directions) is None


def test_failures_count_nothing_and_what_is_not_over_is_waited_for() -> None:
    done = [ended(0.3), ended(0.2)]
    assert stalled(numbered(*done, FAILED), 2) is None
    assert stalled(numbered(*done, FAILED, ended(0.2)), 2)
    assert stalled(numbered(*done, RUNNING, ended(0.2)), 2) is None
    assert stalled(numbered(*done, CUT_OFF, ended(0.2)), 2) is None
    # its place is the third, whenever it runs again: it leads, and one trial has followed
    again = ended(0.4, retry_of=2)
    assert stalled(numbered(*done, CUT_OFF, ended(0.2), again), 2) is None
    assert stalled(numbered(*done, CUT_OFF, ended(0.2), ended(0.1), again), 2)


VALUES = st.lists(st.none() | st.sampled_from([0.1, 0.12, 0.2, 0.3]), max_size=12)


@given(values=VALUES, patience=st.integers(1, 4), cut=st.integers(0, 12), place=st.integers(0, 12))
def test_a_search_that_has_stalled_stays_so_and_nobody_finds_it_sooner(
    values: list[float | None], patience: int, cut: int, place: int
) -> None:
    trials = [ended(value) for value in values]
    whole = stalled(numbered(*trials), patience)
    before = stalled(numbered(*trials[:cut]), patience)
    assert before in (None, whole)
    # another worker still runs the trial of that place
    seen = [*trials[:place], RUNNING, *trials[place + 1 :]]
    assert stalled(numbered(*seen), patience) == stalled(numbered(*trials[:place]), patience)
    # that trial is cut off, and runs again after all the others
    if place < len(trials):
        again = ended(values[place], retry_of=place)
        seen = [*trials[:place], CUT_OFF, *trials[place + 1 :], again]
        assert stalled(numbered(*seen), patience) == whole


def test_a_stalled_search_ends_alike_undisturbed_or_not_and_a_given_number_goes_on(
    tmp_path: Path,
) -> None:
    spec = small_spec(tmp_path, ("trials = 6", "trials = 30\nstop_when_stalled = 4"))

    def searched(behavior: Any, *, study: optuna.Study | None = None) -> optuna.Study:
        study = study or optuna.create_study(direction="maximize")
        outcome = loop_of(study, spec, behavior).run()
        assert outcome.state in ("stalled", "interrupted")
        return study

    def interrupted_once(trial: optuna.Trial) -> float:
        if trial.number == 3:
            raise KeyboardInterrupt
        return trial.params["learning_rate"]

    undisturbed = searched(lambda trial: trial.params["learning_rate"])
    values = [trial.value or 0.0 for trial in undisturbed.trials]
    assert max(values) == values[-5], "four trials have followed the best one"
    disturbed = searched(interrupted_once)
    assert len(disturbed.trials) == 4
    disturbed = searched(interrupted_once, study=disturbed)
    assert [trial.value for trial in disturbed.trials if trial.value is not None] == values

    by_hand = override(spec, trials=len(values) + 2)
    assert by_hand.comparable == spec.comparable
    outcome = loop_of(undisturbed, by_hand, interrupted_once).run()
    assert outcome == Outcome(state="complete")
    assert len(undisturbed.trials) == len(values) + 2
