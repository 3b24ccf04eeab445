"""The references on the real data."""

import pytest

from deeprec.config import DataConfig
from deeprec.data.dataset import Dataset, split
from deeprec.evaluation.ranking import ListMetrics, RankingMetrics, rank_all
from deeprec.evaluation.references import ReferenceSettings, choose_references, fit_reference

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def chosen(dataset: Dataset) -> dict[str, RankingMetrics]:
    splits = split(dataset, DataConfig())
    counts = (dataset.users.rows, dataset.movies.rows)
    measured = choose_references(splits.train, splits.validation, *counts)
    return {
        settings.name: metrics
        for settings, metrics in measured
        if not isinstance(metrics, ListMetrics)
    }


@pytest.mark.parametrize(
    ("name", "kept", "unseen"),
    [
        ("popularity", 0.435, 0.53),
        ("damped_mean", 0.396, 0.48),
        ("ease", 0.510, 0.690),
        ("ease_unseen", 0.417, 0.702),
    ],
)
def test_references_reach_what_they_reached_when_they_were_written(
    chosen: dict[str, RankingMetrics], name: str, kept: float, unseen: float
) -> None:
    metrics = chosen[name]
    assert metrics.top_100_accuracy == pytest.approx(kept, abs=0.005)
    assert metrics.top_100_accuracy_unseen == pytest.approx(unseen, abs=0.02)


def test_popularity_on_the_test_rows(dataset: Dataset) -> None:
    splits = split(dataset, DataConfig())
    rows = splits.before_test
    counts = (dataset.users.rows, dataset.movies.rows)
    score = fit_reference(ReferenceSettings(name="popularity"), rows, *counts)
    metrics = rank_all(score, rows, splits.test, dataset.movies.rows)
    assert metrics.top_100_accuracy == pytest.approx(0.46, abs=0.005)
