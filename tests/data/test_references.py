"""The references on the real data."""

from collections.abc import Mapping

import pytest

from deeprec.config import DataConfig
from deeprec.data.dataset import Dataset, split
from deeprec.evaluation.ranking import RankingMetrics, rank_all
from deeprec.evaluation.references import (
    CHOICES,
    ReferenceName,
    ReferenceSettings,
    choose_reference,
    fit_reference,
)

pytestmark = pytest.mark.data

BEST: dict[ReferenceName, tuple[Mapping[str, float], ...]] = {
    "ials": ({"dimension": 64, "unobserved": 0.1, "penalty": 0.03},),
    "slim": ({"l1": 2.0, "l2": 200.0}, {"l1": 0.5, "l2": 50.0}),
}
"""Of those that take seconds a setting, the best ones alone."""


@pytest.mark.parametrize(
    ("name", "kept", "unseen"),
    [
        ("popularity", 0.435, 0.55),
        ("recent_popularity", 0.431, 0.530),
        ("damped_mean", 0.396, 0.480),
        ("ease", 0.510, 0.702),
        ("item_knn", 0.532, 0.685),
        ("ials", 0.577, 0.734),
        ("slim", 0.525, 0.712),
    ],
)
def test_references_reach_what_they_reached_when_they_were_written(
    dataset: Dataset,
    name: ReferenceName,
    kept: float,
    unseen: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The best of the settings by either protocol."""
    if name in BEST:
        assert set(map(str, BEST[name])) <= set(map(str, CHOICES[name]))
        monkeypatch.setitem(CHOICES, name, BEST[name])
    splits = split(dataset, DataConfig())
    counts = (dataset.users.rows, dataset.movies.rows)
    chosen = choose_reference(name, splits.train, splits.validation, *counts)
    best, best_unseen = chosen[0][1], chosen[-1][1]
    assert isinstance(best, RankingMetrics)
    assert isinstance(best_unseen, RankingMetrics)
    assert best.top_100_accuracy == pytest.approx(kept, abs=0.005)
    assert best_unseen.top_100_accuracy_unseen == pytest.approx(unseen, abs=0.005)


def test_popularity_on_the_test_rows(dataset: Dataset) -> None:
    splits = split(dataset, DataConfig())
    rows = splits.before_test
    counts = (dataset.users.rows, dataset.movies.rows)
    score = fit_reference(ReferenceSettings(name="popularity"), rows, *counts)
    metrics = rank_all(score, rows, splits.test, dataset.movies.rows)
    assert metrics.top_100_accuracy == pytest.approx(0.46, abs=0.005)
