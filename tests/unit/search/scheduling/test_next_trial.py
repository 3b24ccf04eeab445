"""Places: what draws are seeded by, whatever was interrupted; and when a search has stalled."""

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.config.reading import override
from search.config.space import suggest
from search.config.study import StudySpec
from search.records.events import Outcome
from search.scheduling.heartbeat import all_stale, close_stale, mark_interrupted
from search.scheduling.locks import ClaimLostError
from search.scheduling.next_trial import NextTrial, ask_next, next_trial, place_of, stalled
from search.storage.attributes import DERIVED, INTERRUPTED, RETRY_OF
from tests.unit.search.claims import loop_of
from tests.unit.search.specs import small_spec


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    return small_spec(tmp_path)


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize")


def finish(study: optuna.Study, trial: optuna.Trial) -> None:
    study.tell(trial, 0.3)


def interrupt(study: optuna.Study, trial: optuna.Trial) -> None:
    mark_interrupted(study, trial, "terminated")
    study.tell(trial, state=TrialState.FAIL)


def run_again(study: optuna.Study, trial: optuna.Trial, first: int | None = None) -> optuna.Trial:
    attributes = {"retry_of": trial.number if first is None else first}
    study.enqueue_trial({}, user_attrs=attributes)
    return study.ask()


def places(study: optuna.Study) -> list[int]:
    trials = study.get_trials(deepcopy=False)
    return [place_of(trials, trial.number) for trial in trials]


def next_place(study: optuna.Study, spec: StudySpec) -> int:
    return next_trial(study.get_trials(deepcopy=False), spec).place


def test_undisturbed_the_place_is_the_number(study: optuna.Study, spec: StudySpec) -> None:
    for number in range(3):
        assert next_place(study, spec) == number
        study.tell(study.ask(), None if number else 0.3, TrialState.FAIL if number else None)
    assert places(study) == [0, 1, 2]


def test_a_new_try_takes_the_place_of_the_first(study: optuna.Study, spec: StudySpec) -> None:
    finish(study, study.ask())
    first = study.ask()
    interrupt(study, first)
    assert next_place(study, spec) == 1
    second = run_again(study, first)
    interrupt(study, second)
    assert next_place(study, spec) == 1
    finish(study, run_again(study, second, first=first.number))
    assert next_place(study, spec) == 2
    assert places(study) == [0, 1, 1, 1]


def test_workers_share_no_place_if_one_ends_late(study: optuna.Study, spec: StudySpec) -> None:
    early, later = study.ask(), study.ask()
    finish(study, study.ask())
    interrupt(study, early)
    assert places(study) == [0, 1, 2], "no place changes by that"
    assert next_place(study, spec) == 0
    again = run_again(study, early)
    assert next_place(study, spec) == 3
    finish(study, study.ask())
    assert places(study) == [0, 1, 2, 0, 3]
    for trial in (later, again):
        finish(study, trial)
    assert places(study) == [0, 1, 2, 0, 3]


def test_a_waiting_trial_is_first_with_its_place(study: optuna.Study, spec: StudySpec) -> None:
    finish(study, study.ask())
    study.enqueue_trial({"learning_rate": 0.5})
    assert next_place(study, spec) == 1
    finish(study, study.ask())
    assert next_place(study, spec) == 2


def test_a_trial_has_the_place_that_was_decided(study: optuna.Study, spec: StudySpec) -> None:
    for _ in range(3):
        decided = next_place(study, spec)
        trial = ask_next(study, study.get_trials(deepcopy=False), spec, others_run=False)
        assert trial is not None
        assert places(study)[trial.number] == decided == 0
        interrupt(study, trial)


def test_what_runs_next_is_decided_in_order(study: optuna.Study, spec: StudySpec) -> None:
    def decided() -> NextTrial:
        return next_trial(study.get_trials(deepcopy=False), spec)

    first, second = decided(), "reference (8, 4)"
    assert first.attributes == {"reference": "reference (8,)"}
    study.enqueue_trial(dict(first.parameters or {}), user_attrs=dict(first.attributes))
    assert decided() == NextTrial(place=0, number=0, is_waiting=True), "it is not enqueued twice"
    interrupt(study, study.ask())
    again = decided()
    assert again.attributes == {"retry_of": 0, "reference": "reference (8,)"}
    assert again.parameters == first.parameters
    study.enqueue_trial(dict(again.parameters or {}), user_attrs=dict(again.attributes))
    finish(study, study.ask())
    assert decided().attributes == {"reference": second}, "of the file, what it does not hold yet"
    study.enqueue_trial({}, user_attrs={"reference": second})
    finish(study, study.ask())
    assert decided() == NextTrial(place=2, number=3), "the sampler decides"


def test_no_point_is_drawn_twice_where_an_answer_was_lost(
    study: optuna.Study, spec: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial is created, its process does not hear of it and creates another one."""

    def ask() -> optuna.Trial:
        trial = ask_next(study, study.get_trials(deepcopy=False), drawn, others_run=False)
        assert trial is not None
        suggest(trial, drawn.space)
        return trial

    drawn = spec.model_copy(update={"enqueue": ()})
    create = study._storage.create_new_trial

    def create_twice(*arguments: Any, **options: Any) -> int:
        create(*arguments, **options)
        return create(*arguments, **options)

    with monkeypatch.context() as outage:
        outage.setattr(study._storage, "create_new_trial", create_twice)
        with pytest.raises(ClaimLostError, match="trial 1 was to be trial 0"):
            ask()
    close_stale(study, all_stale)
    again, later = ask(), ask()
    assert places(study) == [0, 1, 0, 2]
    assert again.user_attrs["retry_of"] == 0
    assert again.params["learning_rate"] != later.params["learning_rate"]
    assert not study.trials[1].params, "the second was never drawn"


@pytest.mark.parametrize("limit", [200, 400])
def test_the_sampler_is_told_of_limits_as_they_are_now_and_nothing_is_stored(
    limit: int, tmp_path: Path
) -> None:
    address = f"sqlite:///{tmp_path}/study.db"
    for attempt in range(2):  # another process goes on
        study = optuna.create_study(
            storage=address, study_name="a", direction="maximize", load_if_exists=True
        )
        if attempt == 0:
            sizes = (100, 300)
            study.add_trials(
                optuna.trial.create_trial(
                    value=0.1, user_attrs={"derived": {"parameter_count": size}}
                )
                for size in sizes
            )
        now = limit if attempt else 50
        limits = ("[training]", f"[limits]\nparameters = {now}\n[training]")
        trials = study.get_trials(deepcopy=False)
        ask_next(study, trials, small_spec(tmp_path, limits), others_run=False)
        seen = study._get_trials(deepcopy=False, use_cache=True)  # as samplers see them
        told = [each.constraints for each in seen if each.state == TrialState.COMPLETE]
        assert told == [{"parameters": size / now - 1} for size in (100, 300)]
    fresh = optuna.load_study(storage=address, study_name="a")
    assert not any(each.constraints for each in fresh.trials)


@pytest.mark.parametrize("sampler", ["tpe", "nsgaii"])
def test_samplers_that_know_constraints_keep_away_from_what_is_too_large(
    sampler: str, tmp_path: Path
) -> None:
    changes = (
        ("trials = 6", "trials = 60"),
        ("[training]", "[limits]\nparameters = 10\n[training]"),
        ('name = "random"', f'name = "{sampler}"'),
        ("low = 0.01, high = 0.1", "low = 0.001, high = 1.0"),
    )
    spec = small_spec(tmp_path, *changes)
    study = optuna.create_study(direction="maximize")
    rates: list[float] = []
    for _ in range(60):
        asked = ask_next(study, study.get_trials(deepcopy=False), spec, others_run=False)
        assert asked is not None
        suggest(asked, spec.space)
        rates.append(asked.params["learning_rate"])
        # the best of all is too large, which only the limit speaks against; 0.01 is best within it
        asked.set_user_attr("derived", {"parameter_count": 100 * rates[-1]})
        near = 0.5 - abs(math.log10(rates[-1]) + 2) / 10
        study.tell(asked, 1.0 if rates[-1] > 0.1 else near)
    late = rates[30:]
    assert sum(rate <= 0.1 for rate in late) > 0.8 * len(late)


@pytest.mark.parametrize("sampler", ["tpe", "nsgaii", "random", "grid"])
@pytest.mark.parametrize("rates", ["low = 0.01, high = 0.1", "low = 0.05, high = 0.05"])
def test_samplers_of_several_objectives_go_on_as_if_they_had_not_stopped(
    sampler: str, rates: str, tmp_path: Path
) -> None:
    objectives = "[objective]\nmetrics = ['ndcg@10', 'parameters']\n"
    changes = (
        ("[training]", f"{objectives}[limits]\nparameters = 80\n[training]"),
        ('[pruner]\nname = "none"\n', ""),
        ('name = "random"', f'name = "{sampler}"'),
        ("low = 0.01, high = 0.1", rates),
    )
    spec = small_spec(tmp_path, *changes)

    def tried(*counts: int) -> list[dict[str, float]]:
        study = optuna.create_study(directions=spec.directions)
        for count in counts:
            study = optuna.load_study(study_name=study.study_name, storage=study._storage)
            for _ in range(count):
                trials = study.get_trials(deepcopy=False)
                asked = ask_next(study, trials, spec, others_run=False)
                if asked is None:
                    break  # the grid has no more
                size = 10 * suggest(asked, spec.space).layer_sizes[0]
                asked.set_user_attr("derived", {"parameter_count": size})
                is_over = size > 80
                values = [asked.params["learning_rate"] * size, size]
                state = TrialState.PRUNED if is_over else TrialState.COMPLETE
                study.tell(asked, None if is_over else values, state)
        return [trial.params for trial in study.trials]

    whole = tried(16)
    assert whole == tried(9, 7)
    assert len({tuple(sorted(each.items())) for each in whole[:5]}) == 5, "none is tried twice"


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
