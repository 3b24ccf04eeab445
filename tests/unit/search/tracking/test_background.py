"""Events that are passed on in a thread: in order, and the sender never waits."""

import threading
import time
from pathlib import Path

import pytest

from search.records.events import EpochFinished, TrialEvent, TrialFinished, TrialStarted
from search.tracking.circuit import Background
from tests.unit.search.sample_records import curve, started, trial


class Slow:
    """A listener that waits until it may go on, and keeps what it was told and by which thread."""

    def __init__(self) -> None:
        self.told: list[TrialEvent] = []
        self.threads: set[int] = set()
        self.is_told = threading.Event()
        self.may_go_on = threading.Event()

    def hear(self, event: TrialEvent) -> None:
        self.is_told.set()
        assert self.may_go_on.wait(10)
        self.told.append(event)
        self.threads.add(threading.get_ident())


ALL: list[TrialEvent] = [
    TrialStarted(started(trial(3))),
    *(EpochFinished(3, point) for point in curve(3)),
    TrialFinished(trial(3), Path("towers")),
]


def tell_all(background: Background) -> None:
    for event in ALL:
        background.hear(event)


def test_whoever_tells_does_not_wait_and_all_is_passed_on_in_order_at_the_end() -> None:
    slow = Slow()
    with Background(slow.hear, warn=pytest.fail) as background:
        tell_all(background)
        assert slow.told == []
        slow.may_go_on.set()
    assert slow.told == ALL
    assert len(slow.threads) == 1
    assert threading.get_ident() not in slow.threads


def test_when_too_many_wait_epochs_are_dropped_and_whoever_tells_does_not_wait() -> None:
    slow = Slow()
    with Background(slow.hear, warn=pytest.fail, capacity=3) as background:
        background.hear(TrialStarted(started(trial(2))))
        assert slow.is_told.wait(10)  # it is being passed on, and waits no more
        tell_all(background)
        slow.may_go_on.set()
    assert slow.told == [TrialStarted(started(trial(2))), ALL[0], ALL[-1]]


def test_when_too_many_wait_all_the_same_the_latest_are_dropped() -> None:
    slow = Slow()
    with Background(slow.hear, warn=pytest.fail, capacity=2) as background:
        background.hear(TrialStarted(started(trial(0))))
        assert slow.is_told.wait(10)
        for number in (1, 2, 3):
            background.hear(TrialStarted(started(trial(number))))
        slow.may_go_on.set()
    assert slow.told == [TrialStarted(started(trial(number))) for number in range(3)]


def test_leaving_takes_a_bounded_time_and_then_nothing_more_is_passed_on() -> None:
    slow = Slow()
    begun = time.monotonic()
    with Background(slow.hear, warn=pytest.fail, patience_s=0.2) as background:
        tell_all(background)
        assert slow.is_told.wait(10)
    assert 0.2 <= time.monotonic() - begun < 5
    slow.may_go_on.set()
    background._thread.join(10)
    assert not background._thread.is_alive()
    assert slow.told == ALL[:1]  # what was being passed on


def test_an_error_is_warned_of_once_and_later_events_are_passed_on() -> None:
    class Broken(Slow):
        def hear(self, event: TrialEvent) -> None:
            if isinstance(event, EpochFinished):
                raise ValueError(f"epoch {event.point.epoch}\nof {event.number}")
            super().hear(event)

    broken, said = Broken(), list[str]()
    broken.may_go_on.set()
    with Background(broken.hear, warn=said.append) as background:
        tell_all(background)
    assert said == ["tracking failed (ValueError: epoch 1 of 3); the search goes on"]
    assert broken.told == [ALL[0], ALL[-1]]


def test_what_was_told_is_passed_on_even_if_the_search_breaks() -> None:
    slow = Slow()
    slow.may_go_on.set()

    def break_off() -> None:
        with Background(slow.hear, warn=pytest.fail) as background:
            tell_all(background)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert slow.told == ALL


def test_what_can_wait_is_done_while_nothing_waits_and_given_up_at_the_end() -> None:
    slow = Slow()
    slow.may_go_on.set()
    done: list[int] = []
    is_idle = threading.Event()

    def work() -> bool:
        done.append(len(slow.told))
        if len(done) == 3:
            is_idle.set()
        return len(done) < 3

    with Background(slow.hear, warn=pytest.fail, spare=work) as background:
        assert is_idle.wait(10)
        background.hear(TrialStarted(started(trial(0))))
        assert slow.is_told.wait(10)
    assert done[:3] == [0, 0, 0]
    assert slow.told == [TrialStarted(started(trial(0)))]


def test_events_come_before_what_can_wait() -> None:
    slow = Slow()
    slow.may_go_on.set()
    may_end = threading.Event()

    def work() -> bool:
        may_end.wait(10)
        return True  # there is always more

    with Background(slow.hear, warn=pytest.fail, spare=work) as background:
        tell_all(background)
        may_end.set()
    assert slow.told == ALL
