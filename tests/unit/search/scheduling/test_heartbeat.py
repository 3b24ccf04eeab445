"""Heartbeats: which trials are silent; those that lost their process are closed and run again."""

from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from search.scheduling.heartbeat import (
    Pulse,
    Watch,
    all_stale,
    close_stale,
    excused,
    mark_interrupted,
    stale_if,
    supersede,
)
from search.storage.attributes import BEAT, ERROR, WORKER
from search.storage.trials import records, superfluous, to_run_again, was_interrupted
from tests.unit.search.claims import Behavior, good
from tests.unit.search.execution.test_loop import Bench


def test_a_counter_that_stands_still_for_the_grace_period_is_silent() -> None:
    watch: Watch[str] = Watch(10, longest_step=4)
    assert watch.look({"a": 1, "b": 1}, now=0) == frozenset()
    assert watch.look({"a": 2, "b": 1}, now=4) == frozenset()
    assert watch.look({"a": 3, "b": 1}, now=8) == frozenset()
    assert watch.look({"a": 4, "b": 1}, now=12) == {"b"}


def test_a_heartbeat_and_a_missing_counter_start_the_watch_anew() -> None:
    watch: Watch[str] = Watch(10, longest_step=10)
    watch.look({"a": 1}, now=0)
    watch.look({"a": 1}, now=9)
    assert watch.look({"a": 2}, now=10) == frozenset()
    assert watch.look({"a": 2}, now=19) == frozenset()
    assert watch.look({"a": 2}, now=20) == {"a"}
    watch = Watch(2, longest_step=2)
    watch.look({"a": 1}, now=0)
    watch.look({}, now=2)
    assert watch.look({"a": 1}, now=4) == frozenset()


def test_the_time_a_watcher_slept_does_not_count() -> None:
    watch: Watch[str] = Watch(10, longest_step=2)
    watch.look({"a": 1}, now=0)
    assert watch.look({"a": 1}, now=1000) == frozenset()
    assert watch.look({"a": 1}, now=1002) == frozenset()


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=60), st.floats(0.1, 5))
def test_silence_is_never_taken_for_longer(pauses: list[float], longest_step: float) -> None:
    watch: Watch[str] = Watch(50, longest_step)
    now = 0.0
    watch.look({"silent": 0, "beating": 0}, now)
    for count, pause in enumerate(pauses, start=1):
        now += pause
        silent = watch.look({"silent": 0, "beating": count}, now)
        assert "beating" not in silent
        if silent:
            assert now >= 50
            assert count * longest_step >= 50


def test_a_pulse_beats_for_its_trial_and_finds_the_silent_ones() -> None:
    study = optuna.create_study()
    mine, other = study.ask(), study.ask()
    looks: list[int] = []
    pulse = Pulse(study, grace_seconds=0, on_look=lambda trials: looks.append(len(trials)))
    with pulse.beating(mine):
        pulse.beat()
        pulse.beat()
        study.tell(mine, 0.5)
        pulse.beat()  # the trial is over
    pulse.beat()
    beats = [trial.user_attrs.get(BEAT) for trial in study.trials]
    assert (beats, looks) == ([2, None], [2] * 4)
    assert pulse.silent == {other.number}
    study.tell(other, state=TrialState.FAIL)
    pulse.beat()
    assert pulse.silent == frozenset()


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


def test_trials_of_dead_workers_silent_ones_and_none_are_closed(study: optuna.Study) -> None:
    for worker in ("alive", "dead", "silent", None):
        begin(study, worker)
    closed = close_stale(study, stale_if(dead={"dead"}, silent={2}), reason="the worker died")
    assert [trial.number for trial in closed] == [1, 2, 3]
    assert states(study) == ["running", "interrupted", "interrupted", "interrupted"]
    assert records(study)[1].reason == "the worker died"
    assert again(study) == 1


def test_the_second_death_gives_a_configuration_up(study: optuna.Study) -> None:
    begin(study)
    close_stale(study, all_stale)
    assert again(study) == 0
    begin(study, retry_of=0)
    [closed] = close_stale(study, all_stale)
    assert closed.is_given_up
    assert closed.line == (
        "trial 1 failed: 2 processes died with it; the configuration is given up (trials 0, 1)"
    )
    assert states(study) == ["interrupted", "failed"]
    assert records(study)[1].reason == "2 processes died with it; the configuration is given up"
    assert again(study) is None


def test_deaths_before_a_trial_began_and_tidy_ends_do_not_count(study: optuna.Study) -> None:
    begin(study, worker=None)
    close_stale(study, all_stale)
    stopped = begin(study, retry_of=0)
    mark_interrupted(study, stopped, "terminated")
    study.tell(stopped, state=TrialState.FAIL)
    begin(study, retry_of=0)
    [closed] = close_stale(study, all_stale)
    assert not closed.is_given_up
    assert again(study) == 2


def test_what_ended_for_want_of_memory_fails_and_runs_no_more(study: optuna.Study) -> None:
    begin(study)
    begin(study, worker=None)
    first, second = close_stale(study, all_stale, out_of_memory=True)
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
def test_what_another_try_settled_runs_no_more(study: optuna.Study, state: TrialState) -> None:
    begin(study)
    close_stale(study, all_stale)
    study.tell(begin(study, retry_of=0), 0.5 if state == TrialState.COMPLETE else None, state)
    assert again(study) is None


def test_a_configuration_that_runs_or_waits_is_not_queued_again(study: optuna.Study) -> None:
    begin(study, reference="tutorial")
    close_stale(study, all_stale)
    study.enqueue_trial({}, user_attrs={"retry_of": 0, "reference": "tutorial"})
    assert again(study) is None
    study.ask()
    assert again(study) is None


def test_a_superseded_trial_leaves_its_configuration_to_others(study: optuna.Study) -> None:
    begin(study, reference="tutorial")
    close_stale(study, all_stale)
    supersede(study, begin(study, retry_of=0, reference="tutorial"))
    assert states(study) == ["interrupted", "interrupted"]
    assert again(study) == 0


def test_what_waits_twice_or_is_settled_is_superfluous(study: optuna.Study) -> None:
    study.tell(begin(study, reference="settled"), 0.5)
    for reference in ("settled", "new", "new"):
        study.enqueue_trial({}, user_attrs={"reference": reference})
    found = superfluous(study.get_trials(deepcopy=False))
    assert [trial.number for trial in found] == [1, 3]
    for trial in found:
        supersede(study, trial)
    assert states(study) == ["complete", "interrupted", "waiting", "interrupted"]


def failing_with(error: str, *numbers: int) -> Behavior:
    """The trials of these numbers fail, or all of them, as the objective would note it."""

    def behave(trial: optuna.Trial) -> float:
        if numbers and trial.number not in numbers:
            return good(trial)
        raise TypeError(error)

    return behave


def retries(bench: Bench) -> list[int]:
    """The first tries of what was run again."""
    return [trial.retry_of for trial in records(bench.study) if trial.retry_of is not None]


def test_what_failed_in_a_broken_environment_runs_again_once_it_is_mended(tmp_path: Path) -> None:
    undisturbed, bench = Bench(tmp_path), Bench(tmp_path)
    undisturbed.run()
    assert bench.run(failing_with("TypeError")).state == "failing"
    assert bench.run(failing_with("TypeError")).state == "failing", "it is as broken as before"
    assert (bench.states, retries(bench)) == (["failed"] * 10, [0, 1, 2, 3, 4])
    assert bench.run().state == "complete"
    finished = [record.parameters for record in records(bench.study) if record.is_finished]
    assert finished == [record.parameters for record in records(undisturbed.study)]
    references = [trial.reference for trial in records(bench.study) if trial.is_finished]
    assert references[:2] == ["reference (8,)", "reference (8, 4)"]


def test_failures_of_single_configurations_are_theirs(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.run(failing_with("TypeError", 0, 1, 3)).state == "complete"
    assert bench.run().state == "complete"
    assert retries(bench) == []


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
def test_a_row_of_errors_is_excused(
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
