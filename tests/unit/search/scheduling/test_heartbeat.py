"""Heartbeats: which trials are silent, and for how long that was watched."""

import optuna
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from search.scheduling.heartbeat import Pulse, Watch
from search.storage.attributes import BEAT


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
