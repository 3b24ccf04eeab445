"""Events that are passed on in a thread: in order, and nobody who tells them ever waits."""

import threading
import time
from pathlib import Path

import pytest

from search.background import Background
from search.trials import CurvePoint, TrialRecord
from tests.unit.search.records import curve, started, trial


class Slow:
    """A watcher that waits until it may go on, and keeps what it was told and by which thread."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.threads: set[int] = set()
        self.is_told = threading.Event()
        self.may_go_on = threading.Event()

    def keep(self, what: object) -> None:
        self.is_told.set()
        assert self.may_go_on.wait(10)
        self.told.append(what)
        self.threads.add(threading.get_ident())

    def trial_started(self, trial: TrialRecord) -> None:
        self.keep(("started", trial.number))

    def epoch_finished(self, number: int, point: CurvePoint) -> None:
        self.keep((number, point.epoch))

    def trial_finished(self, trial: TrialRecord, towers: Path | None) -> None:
        self.keep(("finished", trial.number, towers))


def tell_all(watcher: Background) -> None:
    watcher.trial_started(started(trial(3)))
    for point in curve(3):
        watcher.epoch_finished(3, point)
    watcher.trial_finished(trial(3), Path("towers"))


ALL = [("started", 3), (3, 1), (3, 2), (3, 3), ("finished", 3, Path("towers"))]


def test_whoever_tells_does_not_wait_and_all_is_passed_on_in_order_at_the_end() -> None:
    slow = Slow()
    with Background(slow, warn=pytest.fail) as watcher:
        tell_all(watcher)
        assert slow.told == []
        slow.may_go_on.set()
    assert slow.told == ALL
    assert len(slow.threads) == 1
    assert threading.get_ident() not in slow.threads


def test_when_too_many_wait_epochs_are_dropped_and_whoever_tells_does_not_wait() -> None:
    slow = Slow()
    with Background(slow, warn=pytest.fail, capacity=3) as watcher:
        watcher.trial_started(started(trial(2)))
        assert slow.is_told.wait(10)  # it is being passed on, and waits no more
        tell_all(watcher)
        slow.may_go_on.set()
    assert slow.told == [("started", 2), ALL[0], ALL[-1]]


def test_when_too_many_wait_all_the_same_the_latest_are_dropped() -> None:
    slow = Slow()
    with Background(slow, warn=pytest.fail, capacity=2) as watcher:
        watcher.trial_started(started(trial(0)))
        assert slow.is_told.wait(10)
        for number in (1, 2, 3):
            watcher.trial_started(started(trial(number)))
        slow.may_go_on.set()
    assert slow.told == [("started", 0), ("started", 1), ("started", 2)]


def test_leaving_takes_a_bounded_time_and_then_nothing_more_is_passed_on() -> None:
    slow = Slow()
    begun = time.monotonic()
    with Background(slow, warn=pytest.fail, patience_s=0.2) as watcher:
        tell_all(watcher)
        assert slow.is_told.wait(10)
    assert 0.2 <= time.monotonic() - begun < 5
    slow.may_go_on.set()
    watcher._thread.join(10)
    assert not watcher._thread.is_alive()
    assert slow.told == ALL[:1]  # what was being passed on


def test_an_error_is_warned_of_once_and_later_events_are_passed_on() -> None:
    class Broken(Slow):
        def epoch_finished(self, number: int, point: CurvePoint) -> None:
            raise ValueError(f"epoch {point.epoch}\nof {number}")

    broken, said = Broken(), list[str]()
    broken.may_go_on.set()
    with Background(broken, warn=said.append) as watcher:
        tell_all(watcher)
    assert said == ["tracking failed (ValueError: epoch 1 of 3); the search goes on"]
    assert broken.told == [ALL[0], ALL[-1]]


def test_what_was_told_is_passed_on_even_if_the_search_breaks() -> None:
    slow = Slow()
    slow.may_go_on.set()

    def break_off() -> None:
        with Background(slow, warn=pytest.fail) as watcher:
            tell_all(watcher)
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

    with Background(slow, warn=pytest.fail, spare=work) as watcher:
        assert is_idle.wait(10)
        watcher.trial_started(started(trial(0)))
        assert slow.is_told.wait(10)
    assert done[:3] == [0, 0, 0]
    assert slow.told == [("started", 0)]


def test_events_come_before_what_can_wait() -> None:
    slow = Slow()
    slow.may_go_on.set()
    may_end = threading.Event()

    def work() -> bool:
        may_end.wait(10)
        return True  # there is always more

    with Background(slow, warn=pytest.fail, spare=work) as watcher:
        tell_all(watcher)
        may_end.set()
    assert slow.told == ALL
