"""Signs of life: who is silent, and for how long that was watched."""

from hypothesis import given
from hypothesis import strategies as st

from search.scheduling.watch import Watch


def test_who_gives_no_sign_for_the_grace_period_is_silent() -> None:
    watch: Watch[str] = Watch(10, longest_step=4)
    assert watch.look({"a": 1, "b": 1}, now=0) == frozenset()
    assert watch.look({"a": 2, "b": 1}, now=4) == frozenset()
    assert watch.look({"a": 3, "b": 1}, now=8) == frozenset()
    assert watch.look({"a": 4, "b": 1}, now=12) == {"b"}


def test_a_sign_starts_the_watch_anew() -> None:
    watch: Watch[str] = Watch(10, longest_step=10)
    watch.look({"a": 1}, now=0)
    watch.look({"a": 1}, now=9)
    assert watch.look({"a": 2}, now=10) == frozenset()
    assert watch.look({"a": 2}, now=19) == frozenset()
    assert watch.look({"a": 2}, now=20) == {"a"}


def test_the_time_a_watcher_slept_does_not_count() -> None:
    watch: Watch[str] = Watch(10, longest_step=2)
    watch.look({"a": 1}, now=0)
    assert watch.look({"a": 1}, now=1000) == frozenset()
    assert watch.look({"a": 1}, now=1002) == frozenset()


def test_who_is_gone_is_forgotten() -> None:
    watch: Watch[str] = Watch(2, longest_step=2)
    watch.look({"a": 1}, now=0)
    watch.look({}, now=2)
    assert watch.look({"a": 1}, now=4) == frozenset()


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=60))
def test_nobody_is_silent_who_gives_a_sign_at_every_look(pauses: list[float]) -> None:
    watch: Watch[str] = Watch(1, longest_step=0.9)
    now = 0.0
    for signs, pause in enumerate(pauses):
        now += pause
        assert watch.look({"a": signs}, now) == frozenset()


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=60), st.floats(0.1, 5))
def test_silence_is_never_measured_as_longer_than_it_was(
    pauses: list[float], longest_step: float
) -> None:
    watch: Watch[str] = Watch(50, longest_step)
    now = 0.0
    watch.look({"a": 0}, now)
    for count, pause in enumerate(pauses, start=1):
        now += pause
        if watch.look({"a": 0}, now):
            assert now >= 50
            assert count * longest_step >= 50
