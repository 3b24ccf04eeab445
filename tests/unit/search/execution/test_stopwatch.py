"""The stopwatch: what counts, and what does not."""

import pytest

from search.execution.objective import Stopwatch


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_only_running_time_counts_and_pauses_are_left_out() -> None:
    clock = Clock()
    watch = Stopwatch(clock)
    clock.now += 1
    with watch.running():
        clock.now += 2
        with watch.paused():
            clock.now += 4
        clock.now += 8
    clock.now += 16
    with watch.running():
        clock.now += 32
    assert watch.seconds == 2 + 8 + 32


def test_it_stops_at_an_error_wherever_it_comes_from() -> None:
    clock = Clock()
    watch = Stopwatch(clock)

    def break_off() -> None:
        with watch.running():
            clock.now += 2
            with watch.paused():
                clock.now += 4
                raise ValueError("pruned")

    with pytest.raises(ValueError, match="pruned"):
        break_off()
    clock.now += 8
    assert watch.seconds == 2
