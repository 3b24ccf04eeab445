"""Counting and timing the trainings of a confirmation."""

import pytest

from search.display.confirmation_view import Plan, TrainingTally
from tests.unit.search.terminals import Clock

PLAN = Plan({"one": 10, "two": 30}, seeds=2)


def trained(tally: TrainingTally, clock: Clock, name: str, accuracy: float, seconds: float) -> None:
    """A training from its start to its result."""
    epochs = tally.plan.epochs[name]
    tally.start(name, 0, "rows", epochs)
    for epoch in range(1, epochs + 1):
        tally.advance(epoch, {"train_loss": 1 / epoch})
    clock.seconds += seconds
    assert tally.finish(name, accuracy, is_test=False) == pytest.approx(seconds)


def test_everybody_is_trained_with_every_seed_and_the_winner_again() -> None:
    assert PLAN.trainings == 2 * 2 + 2


def test_what_was_kept_is_done_and_took_no_time() -> None:
    tally = TrainingTally(PLAN, clock=Clock())
    assert tally.finish("one", 0.3, is_test=False) is None
    assert tally.done == 1
    assert tally.seconds_left() is None


def test_time_left_follows_the_epochs() -> None:
    clock = Clock()
    tally = TrainingTally(PLAN, clock=clock)
    trained(tally, clock, "one", 0.3, seconds=20)  # 2 s an epoch
    # One more of "one", two of "two", two tests of "one", which is ahead.
    assert tally.seconds_left() == pytest.approx(2 * (10 + 60 + 20))
    trained(tally, clock, "two", 0.4, seconds=60)
    assert tally.seconds_left() == pytest.approx(2 * (10 + 30 + 60)), "now the other one is ahead"
    tally.start("two", 1, "rows", 30)
    clock.seconds += 15
    assert tally.seconds_left() == pytest.approx(2 * (10 + 30 + 60) - 15)


def test_at_the_end_nothing_is_left() -> None:
    clock = Clock()
    tally = TrainingTally(Plan({"one": 10}, seeds=1), clock=clock)
    trained(tally, clock, "one", 0.3, seconds=20)
    tally.start("one", 0, "tested", 10)
    tally.finish("one", 0.31, is_test=True)
    assert (tally.done, tally.seconds_left(), tally.tested) == (2, 0, [0.31])


def test_means_are_of_the_results_so_far() -> None:
    tally = TrainingTally(PLAN)
    tally.finish("one", 0.3, is_test=False)
    tally.finish("one", 0.4, is_test=False)
    assert {name: sample.mean for name, sample in tally.means.items()} == {
        "one": pytest.approx(0.35)
    }
