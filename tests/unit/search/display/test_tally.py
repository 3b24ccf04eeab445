"""Counting and timing the trials of a search, and the trainings of a confirmation."""

from dataclasses import replace

import pytest

from search.display.tally import STARTS, WAITS, ConfirmationTally, RunningTrial, SearchTally
from search.records.events import EpochFinished, TrialFinished, TrialStarted
from search.records.trials import TrialState
from tests.unit.search.sample_records import curve, started, trial
from tests.unit.search.terminals import Clock


def shown(tally: SearchTally) -> list[int | str]:
    """The trials of the workers, in their order, or what they do instead."""
    return [each.trial.number if isinstance(each, RunningTrial) else each for each in tally.slots]


def test_complete_and_pruned_trials_are_finished_and_failed_ones_are_counted_apart() -> None:
    states: list[TrialState] = ["complete", "pruned", "pruned", "failed", "interrupted"]
    tally = SearchTally(10, 30, [trial(number, state) for number, state in enumerate(states)])
    assert tally.finished == 3
    assert (tally.count("pruned"), tally.count("failed")) == (2, 1)


def test_time_left_follows_the_pace_of_this_run_alone() -> None:
    clock = Clock()
    tally = SearchTally(10, 30, [trial(0), trial(1)], clock=clock)
    clock.seconds += 60
    tally.finish(trial(2))
    tally.finish(trial(3, "pruned"))
    assert (tally.seconds_left(), tally.is_measured) == (6 * 30, True)


def test_between_two_trials_it_counts_down() -> None:
    clock = Clock()
    tally = SearchTally(10, 30, [], clock=clock)
    clock.seconds += 20
    tally.finish(trial(0))
    clock.seconds += 15
    assert (tally.seconds_left(), tally.is_measured) == (9 * 20 - 15, True)


def test_the_last_trial_is_not_said_to_be_over_while_it_runs() -> None:
    clock = Clock()
    tally = SearchTally(2, 10, [], clock=clock)
    clock.seconds += 5
    tally.finish(trial(0))
    tally.start(started(trial(1)))
    clock.seconds += 20
    assert (tally.seconds_left(), tally.is_measured) == (0, True)
    tally.hear(EpochFinished(1, curve(4)[-1]))
    assert (tally.seconds_left(), tally.is_measured) == (20 * 1.5, True)


def test_a_resumed_study_estimates_from_what_its_trials_took() -> None:
    clock = Clock()
    before = [trial(0, train_seconds=30.0), trial(1, "pruned", train_seconds=10.0)]
    failed = trial(2, "failed", train_seconds=500.0)
    tally = SearchTally(12, 30, [*before, failed], workers=2, clock=clock)
    clock.seconds += 4
    assert (tally.seconds_left(), tally.is_measured) == (10 * 20 / 2 - 4, False)


def test_a_new_study_knows_nothing_before_its_first_trial() -> None:
    clock = Clock()
    tally = SearchTally(3, 30, [], clock=clock)
    clock.seconds += 10
    tally.finish(trial(0, "failed"))
    assert tally.seconds_left() is None
    clock.seconds += 10
    tally.finish(trial(1))
    assert (tally.seconds_left(), tally.is_measured) == (2 * 20, True)
    for number in range(2, 6):  # more than were asked for
        tally.finish(trial(number))
    assert (tally.seconds_left(), tally.is_measured) == (0, True)


def test_each_running_trial_has_its_own_epochs_and_accuracies() -> None:
    tally = SearchTally(3, 10, [], workers=2)
    tally.hear(TrialStarted(started(trial(0))))
    tally.hear(TrialStarted(started(trial(1))))
    for point in curve(10):
        tally.hear(EpochFinished(0, point))
    tally.hear(EpochFinished(1, curve(1)[0]))
    tally.hear(EpochFinished(7, curve(1)[0]))  # of a trial that is over
    first, second = tally.running
    assert (first.epoch, len(first.accuracies)) == (10, 2)
    assert (second.epoch, second.accuracies) == (1, [])
    assert second.losses == pytest.approx([0.36])


def test_a_worker_keeps_its_row_and_one_without_a_trial_waits_for_the_next() -> None:
    tally = SearchTally(9, 10, [], workers=3)
    assert shown(tally) == [STARTS, STARTS, STARTS]
    for number in range(2):
        tally.start(started(trial(number)))
    tally.hear(TrialFinished(trial(0), None))
    assert shown(tally) == [WAITS, 1, STARTS]
    tally.start(started(trial(2)))
    assert shown(tally) == [2, 1, STARTS]


def test_the_trial_of_a_worker_that_died_has_a_row_until_it_is_closed() -> None:
    tally = SearchTally(9, 10, [], workers=1)
    tally.start(started(trial(0)))
    tally.start(started(trial(1)))
    assert shown(tally) == [0, 1]
    tally.finish(trial(0, "interrupted"))
    assert shown(tally) == [1]


def test_trials_of_other_processes_are_counted_once_seen() -> None:
    tally = SearchTally(9, 10, [trial(0), started(trial(1))])
    assert tally.running_elsewhere == 1
    tally.start(started(trial(2)))
    seen = [trial(0), trial(1), started(trial(2)), started(trial(3)), started(trial(4))]
    tally.look(seen)
    assert (tally.finished, len(tally.running), tally.running_elsewhere) == (2, 1, 2)
    tally.finish(trial(2))  # a look of before does not make it one of the others'
    assert tally.running_elsewhere == 2


def test_a_look_does_not_undo_what_is_known() -> None:
    tally = SearchTally(9, 10, [])
    tally.finish(trial(0, value=0.4))
    tally.look([trial(0, value=0.3)])
    assert tally.best is not None
    assert tally.best.value == 0.4


def test_the_latest_are_those_that_ended_last() -> None:
    ended = [replace(trial(number), ended_ms=when) for number, when in enumerate([30, 10, 20])]
    tally = SearchTally(9, 10, [*ended, started(trial(3))])
    assert [each.number for each in tally.latest] == [0, 2, 1]


def trained(
    tally: ConfirmationTally, clock: Clock, name: str, accuracy: float, seconds: int
) -> None:
    tally.start(name, 0, "rows")
    clock.seconds += seconds
    tally.finish(name, accuracy, is_test=False)


def test_time_left_follows_the_epochs_of_all_seeds_and_of_the_tests_of_the_winner() -> None:
    clock = Clock()
    tally = ConfirmationTally({"one": 10, "two": 30}, 2, clock=clock)
    assert tally.target == 2 * 2 + 2
    trained(tally, clock, "one", 0.3, seconds=20)  # 2 s an epoch
    # One more of "one", two of "two", two tests of "one", which is ahead.
    assert tally.seconds_left() == pytest.approx(2 * (10 + 60 + 20))
    trained(tally, clock, "two", 0.4, seconds=60)
    assert tally.seconds_left() == pytest.approx(2 * (10 + 30 + 60)), "now the other one is ahead"
    tally.start("two", 1, "rows")
    clock.seconds += 15
    assert tally.seconds_left() == pytest.approx(2 * (10 + 30 + 60) - 15)


def test_what_was_kept_is_done_and_took_no_time_and_at_the_end_nothing_is_left() -> None:
    clock = Clock()
    tally = ConfirmationTally({"one": 10}, 2, clock=clock)
    tally.finish("one", 0.3, is_test=False)
    assert (tally.done, tally.seconds_left()) == (1, None)
    trained(tally, clock, "one", 0.4, seconds=20)
    for number in range(2):
        tally.start("one", number, "tested")
        tally.finish("one", 0.31, is_test=True)
    assert (tally.done, tally.seconds_left(), tally.tested) == (4, 0, [0.31, 0.31])
    assert tally.ahead == "one"
