"""The final metrics: hand-worked, and the same however the users are cut into blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeprec.config import ModelConfig, TrainingConfig
from deeprec.evaluation import evaluate_model
from deeprec.ranking import RankingMetrics, model_scores, rank_all
from deeprec.retrieval import RetrievalModel
from deeprec.tables import FeatureTable, IntArray
from tests.synthetic import MOVIES, USERS, interactions_of, random_interactions

CANDIDATES = 13
SCORES = np.zeros((4, CANDIDATES), np.float32)
SCORES[1] = np.arange(CANDIDATES)[::-1]  # movie 0 first
SCORES[2] = np.arange(CANDIDATES)  # movie 12 first
"""User 3 finds all movies alike: the lower number comes first."""


def by_table(users: IntArray) -> np.ndarray:
    return SCORES[users]


TRAIN = interactions_of((1, 0, 0.5), (1, 1, 0.5), (2, 12, 1.0))
EVALUATED = interactions_of((1, 4, 1.0), (1, 11, 1.0), (1, 2, 0.75), (2, 11, 1.0), (3, 1, 1.0))
"""Ranks, seen kept: 4 and 11, 1, 1; seen removed: 2 and 9, 0, 1. Four stars are not liked."""


def test_accuracies_are_shares_of_liked_rows() -> None:
    metrics = rank_all(by_table, TRAIN, EVALUATED, CANDIDATES, k=2)
    assert metrics.top_100_accuracy == 2 / 4
    assert metrics.top_100_accuracy_unseen == 2 / 4
    metrics = rank_all(by_table, TRAIN, EVALUATED, CANDIDATES, k=3)
    assert metrics.top_100_accuracy == 2 / 4
    assert metrics.top_100_accuracy_unseen == 3 / 4


def test_recall_and_ndcg_are_means_over_users() -> None:
    metrics = rank_all(by_table, TRAIN, EVALUATED, CANDIDATES)
    assert metrics.recall_at_10 == pytest.approx((2 / 2 + 1 + 1) / 3)
    gain = [1 / np.log2(rank + 2) for rank in (2, 9, 0, 1)]
    first = (gain[0] + gain[1]) / (1 + 1 / np.log2(3))
    assert metrics.ndcg_at_10 == pytest.approx((first + gain[2] / 1 + gain[3] / 1) / 3)


def test_a_user_who_likes_more_than_fits_can_still_have_a_gain_of_one() -> None:
    many = interactions_of(*[(2, movie, 1.0) for movie in range(CANDIDATES)])
    metrics = rank_all(by_table, interactions_of((1, 1, 1.0)), many, CANDIDATES)
    assert metrics.ndcg_at_10 == pytest.approx(1.0)
    assert metrics.recall_at_10 == pytest.approx(10 / CANDIDATES)


def test_where_nobody_likes_anything_there_is_nothing_to_find() -> None:
    metrics = rank_all(by_table, TRAIN, interactions_of((1, 4, 0.75)), CANDIDATES)
    assert metrics == RankingMetrics(
        top_100_accuracy=0.0, top_100_accuracy_unseen=0.0, recall_at_10=0.0, ndcg_at_10=0.0
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="scores must be finite"):
        rank_all(lambda users: np.full((len(users), CANDIDATES), bad), TRAIN, EVALUATED, CANDIDATES)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 50), block=st.integers(1, 2000))
def test_blocks_do_not_matter_and_removing_what_was_seen_never_hurts(seed: int, block: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 9, (USERS, MOVIES)).astype(np.float32)
    train, evaluated = random_interactions(60, seed), random_interactions(40, seed + 100)
    seen = set(zip(train.user_id.tolist(), train.movie_id.tolist(), strict=True))
    pairs = zip(evaluated.user_id.tolist(), evaluated.movie_id.tolist(), strict=True)
    evaluated = evaluated[np.array([pair not in seen for pair in pairs])]

    def measure(size: int) -> RankingMetrics:
        return rank_all(lambda u: scores[u], train, evaluated, MOVIES, k=10, scores_in_a_block=size)

    whole = measure(1 << 20)
    assert measure(block) == whole
    assert whole.top_100_accuracy_unseen >= whole.top_100_accuracy


def test_a_model_is_measured_as_training_measures_it(
    users: FeatureTable, movies: FeatureTable
) -> None:
    config = ModelConfig(layer_sizes=(6, 4), embedding_dimension=3)
    model = RetrievalModel.for_tables(users, movies, config, seed=3)
    evaluated = random_interactions(200, seed=4)
    metrics = rank_all(
        model_scores(model, users, movies), random_interactions(50, 5), evaluated, movies.rows
    )
    evaluation = evaluate_model(
        model, users, movies, evaluated, split="test", config=TrainingConfig()
    )
    assert metrics.top_100_accuracy == pytest.approx(evaluation.top_100_accuracy)
    assert metrics.named("test")["test_top_100_accuracy"] == metrics.top_100_accuracy
