"""Counting and timing the trials of a search."""

from dataclasses import replace

import pytest

from search.display.tally import Tally, TimeLeft
from search.records.trials import TrialState
from tests.unit.search.sample_records import curve, started, trial
from tests.unit.search.terminals import Clock


def numbers(tally: Tally) -> list[int | None]:
    """The trials of the workers, in their order."""
    return [slot.running.trial.number if slot.running else None for slot in tally.slots]


def test_complete_and_pruned_trials_are_finished_and_failed_ones_are_counted_apart() -> None:
    states: list[TrialState] = ["complete", "pruned", "pruned", "failed", "interrupted"]
    tally = Tally(10, 30, [trial(number, state) for number, state in enumerate(states)])
    assert tally.finished == 3
    assert (tally.count("pruned"), tally.count("failed")) == (2, 1)


# --- time left --------------------------------------------------------------------------------


def test_time_left_follows_the_pace_of_this_run_alone() -> None:
    clock = Clock()
    tally = Tally(10, 30, [trial(0), trial(1)], clock=clock)
    clock.seconds += 60
    tally.finish(trial(2))
    tally.finish(trial(3, "pruned"))
    assert tally.time_left() == TimeLeft(6 * 30, is_measured=True)


def test_between_two_trials_it_counts_down() -> None:
    clock = Clock()
    tally = Tally(10, 30, [], clock=clock)
    clock.seconds += 20
    tally.finish(trial(0))
    clock.seconds += 15
    assert tally.time_left() == TimeLeft(9 * 20 - 15, is_measured=True)


def test_the_last_trial_is_not_said_to_be_over_while_it_runs() -> None:
    clock = Clock()
    tally = Tally(2, 10, [], clock=clock)
    clock.seconds += 5
    tally.finish(trial(0))
    tally.start(started(trial(1)))
    clock.seconds += 20
    assert tally.time_left() == TimeLeft(0, is_measured=True)
    tally.advance(1, curve(4)[-1])
    assert tally.time_left() == TimeLeft(20 * 1.5, is_measured=True)


def test_a_resumed_study_estimates_from_what_its_trials_took() -> None:
    clock = Clock()
    before = [trial(0, train_seconds=30.0), trial(1, "pruned", train_seconds=10.0)]
    failed = trial(2, "failed", train_seconds=500.0)
    tally = Tally(12, 30, [*before, failed], workers=2, clock=clock)
    clock.seconds += 4
    assert tally.time_left() == TimeLeft(10 * 20 / 2 - 4, is_measured=False)


def test_a_new_study_knows_nothing_before_its_first_trial() -> None:
    clock = Clock()
    tally = Tally(3, 30, [], clock=clock)
    clock.seconds += 10
    tally.finish(trial(0, "failed"))
    assert tally.time_left() is None
    clock.seconds += 10
    tally.finish(trial(1))
    assert tally.time_left() == TimeLeft(2 * 20, is_measured=True)


def test_no_time_is_left_when_there_are_more_trials_than_needed() -> None:
    tally = Tally(1, 30, [])
    tally.finish(trial(0))
    tally.finish(trial(1))
    assert tally.time_left() == TimeLeft(0, is_measured=True)


# --- the workers ------------------------------------------------------------------------------


def test_each_running_trial_has_its_own_epochs_and_accuracies() -> None:
    tally = Tally(3, 10, [], workers=2)
    tally.start(started(trial(0)))
    tally.start(started(trial(1)))
    for point in curve(10):
        tally.advance(0, point)
    tally.advance(1, curve(1)[0])
    tally.advance(7, curve(1)[0])  # of a trial that is over
    first, second = (slot.running for slot in tally.slots)
    assert first is not None
    assert second is not None
    assert (first.epoch, len(first.accuracies)) == (10, 2)
    assert (second.epoch, second.accuracies) == (1, [])
    assert second.loss == pytest.approx(0.36)


def test_a_worker_keeps_its_row_and_one_without_a_trial_waits_for_the_next() -> None:
    tally = Tally(9, 10, [], workers=3)
    assert [slot.had_one for slot in tally.slots] == [False, False, False]
    for number in range(2):
        tally.start(started(trial(number)))
    tally.finish(trial(0))
    assert numbers(tally) == [None, 1, None]
    assert [slot.had_one for slot in tally.slots] == [True, False, False]
    tally.start(started(trial(2)))
    assert numbers(tally) == [2, 1, None]


def test_the_trial_of_a_dead_worker_has_a_row_until_it_is_closed() -> None:
    tally = Tally(9, 10, [], workers=1)
    tally.start(started(trial(0)))
    tally.start(started(trial(1)))
    assert numbers(tally) == [0, 1]
    tally.finish(trial(0, "interrupted"))
    assert numbers(tally) == [1]


def test_trials_of_other_processes_are_counted_once_seen() -> None:
    tally = Tally(9, 10, [trial(0), started(trial(1))])
    assert tally.running_elsewhere == 1
    tally.start(started(trial(2)))
    seen = [trial(0), trial(1), started(trial(2)), started(trial(3)), started(trial(4))]
    tally.look(seen)
    assert (tally.finished, tally.running_here, tally.running_elsewhere) == (2, 1, 2)
    tally.finish(trial(2))  # a look of before does not make it one of the others'
    assert tally.running_elsewhere == 2


def test_a_look_does_not_undo_what_is_known() -> None:
    tally = Tally(9, 10, [])
    tally.finish(trial(0, value=0.4))
    tally.look([trial(0, value=0.3)])
    assert tally.best is not None
    assert tally.best.value == 0.4


def test_the_latest_are_those_that_ended_last() -> None:
    ended = [replace(trial(number), ended_ms=when) for number, when in enumerate([30, 10, 20])]
    tally = Tally(9, 10, [*ended, started(trial(3))])
    assert [each.number for each in tally.latest] == [0, 2, 1]
