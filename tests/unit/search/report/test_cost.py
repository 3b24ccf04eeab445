"""What a search cost, worked out by hand."""

import pytest

from search.report.facts import cost_of
from tests.unit.search.sample_records import START_MS, trial


def test_saved_time_is_missing_epochs_times_the_trials_own_pace() -> None:
    trials = [
        trial(0, epochs=30, train_seconds=6.0),
        trial(1, "pruned", epochs=10, train_seconds=2.0),  # 20 epochs missing, 0.2 s each
        trial(2, "pruned", epochs=5, train_seconds=5.0),  # 25 epochs missing, 1 s each
        trial(3, "failed", epochs=5, train_seconds=1.0),
    ]
    cost = cost_of(trials, epochs=30)
    assert cost.train_seconds == 14.0
    assert cost.trained_epochs == 50
    assert cost.saved_epochs == 45
    assert cost.saved_seconds == pytest.approx(4.0 + 25.0)
    assert cost.saved_share == pytest.approx(29 / 43)


def test_time_side_by_side_counts_once_and_pauses_do_not() -> None:
    spans = [(0, 10), (5, 12), (6, 8), (100, 101)]
    trials = [
        trial(
            number,
            started_ms=START_MS + 1000 * start,
            ended_ms=START_MS + 1000 * end,
        )
        for number, (start, end) in enumerate(spans)
    ]
    assert cost_of(trials, epochs=30).wall_seconds == 13.0


def test_nothing_costs_nothing() -> None:
    cost = cost_of([trial(0, "running")], epochs=30)
    assert (cost.train_seconds, cost.wall_seconds, cost.saved_epochs) == (0.0, 0.0, 0)
    assert cost.saved_share is None
