"""What a confirmation holds its trainings against."""

import numpy as np
import pytest

from deeprec.config import Metric
from deeprec.data.dataset import Splits
from deeprec.data.tables import FeatureTable
from deeprec.evaluation.ranking import Judgment
from search.confirmation.measuring import chance_of
from search.execution.data import StudyData
from tests.synthetic import MOVIES, random_interactions, small_dataset


@pytest.fixture
def data(users: FeatureTable, movies: FeatureTable) -> StudyData:
    train, validation, test = (random_interactions(500, seed) for seed in (1, 2, 3))
    dataset = small_dataset(users, movies, train.followed_by(validation).followed_by(test))
    return StudyData(dataset, Splits(train, validation, test))


def test_the_chance_of_the_tutorials_metric_is_its_share_of_the_movies(data: StudyData) -> None:
    assert chance_of(data) == pytest.approx(100 / (MOVIES - 1))


@pytest.mark.parametrize(
    ("metric", "low", "high"),
    [("ndcg@10", 0.02, 0.09), ("hit@10", 0.15, 0.6), ("top_accuracy@10", 0.05, 0.5)],
)
def test_the_chance_of_lists_is_what_a_random_order_has(
    data: StudyData, metric: str, low: float, high: float
) -> None:
    judge = Judgment(metrics=(Metric.of(metric),), repeats=True)
    chance = chance_of(StudyData(data.dataset, data.splits, judge))
    assert low <= chance <= high
    assert np.isfinite(chance)
