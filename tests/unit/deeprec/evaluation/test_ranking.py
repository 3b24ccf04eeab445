"""The final metrics: hand-worked, and the same however the users are cut into blocks."""

import numpy as np
import pytest

from deeprec.config import Metric, ModelConfig, TrainingConfig
from deeprec.data.tables import FeatureTable, IntArray
from deeprec.evaluation.ranking import (
    Judgment,
    RankingMetrics,
    model_scores,
    rank_all,
    same_for_all,
)
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.validation import evaluate_model
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


def test_users_who_like_more_than_fits_or_nothing() -> None:
    many = interactions_of(*[(2, movie, 1.0) for movie in range(CANDIDATES)])
    metrics = rank_all(by_table, interactions_of((1, 1, 1.0)), many, CANDIDATES)
    assert metrics.ndcg_at_10 == pytest.approx(1.0)
    assert metrics.recall_at_10 == pytest.approx(10 / CANDIDATES)
    metrics = rank_all(by_table, TRAIN, interactions_of((1, 4, 0.75)), CANDIDATES)
    assert set(metrics.named("test").values()) == {0.0}


@pytest.mark.parametrize("seed", range(3))
def test_lists_and_ranks_measure_the_same(seed: int) -> None:
    scores = np.random.default_rng(seed).random((USERS, MOVIES), np.float32)
    scores[:, 0] = -1.0  # no movie: ranks count it, where it is scored high, and lists never do
    train, rows = random_interactions(200, seed), random_interactions(100, seed + 10)
    seen = set(zip(train.user_id, train.movie_id, strict=True))
    is_new = [pair not in seen for pair in zip(rows.user_id, rows.movie_id, strict=True)]
    rows = rows[np.array(is_new)]  # nothing is rated twice, as in MovieLens
    names = ("top_accuracy@100", "ndcg@10", "coverage@10")
    judge = Judgment(metrics=tuple(map(Metric.of, names)))
    of_lists = judge(scores.__getitem__, train, rows, MOVIES).named("test")
    of_ranks = rank_all(scores.__getitem__, train, rows, MOVIES).named("test")
    assert of_lists == pytest.approx({name: of_ranks[name] for name in of_lists})
    assert list(of_lists) == ["test_top_100_accuracy", "test_ndcg_at_10", "test_coverage_at_10"]


def test_what_stands_twice_among_the_evaluated_rows_counts_once() -> None:
    twice = EVALUATED.followed_by(EVALUATED)
    once = rank_all(by_table, TRAIN, EVALUATED, CANDIDATES)
    assert rank_all(by_table, TRAIN, twice, CANDIDATES) == once


def test_coverage_and_concentration_are_of_what_is_shown() -> None:
    """Ten of twelve movies are shown: 2 to 11 to user 1, 11 to 2 to user 2, 1 to 10 to user 3."""
    metrics = rank_all(by_table, TRAIN, EVALUATED, CANDIDATES)
    assert metrics.coverage_at_10 == 11 / 12  # 12 was seen by user 2
    assert metrics.top_20_share_at_10 == 1.0


def test_concentration_is_the_share_of_the_twenty_movies_shown_most() -> None:
    many = np.eye(41, dtype=np.float32)[:, ::-1]  # each user has a favorite, then the first nine
    rows = interactions_of(*[(user, 1, 1.0) for user in range(1, 31)])
    metrics = rank_all(lambda u: many[u], rows[:0], rows, 41)
    assert metrics.coverage_at_10 == 39 / 40
    assert metrics.top_20_share_at_10 == pytest.approx((9 * 30 + 11) / 300)


def test_what_is_gained_by_personal_scores_is_against_the_mean_of_all() -> None:
    """Each of two users likes the movie that is best for that user alone, and all share one."""
    scores = np.zeros((3, CANDIDATES), np.float32)
    scores[1, [5, 7]] = 3, 2
    scores[2, [6, 7]] = 3, 2
    rows = interactions_of((1, 5, 1.0), (2, 6, 1.0), (2, 7, 1.0))
    metrics = rank_all(lambda u: scores[u], rows[:0], rows, CANDIDATES, k=1)
    assert metrics.top_100_accuracy == 2 / 3
    assert metrics.personalization_gain == pytest.approx(2 / 3 - 1 / 3)  # 7 is best for all
    same = rank_all(lambda u: np.ones((len(u), 1)) * scores[1], rows[:0], rows, CANDIDATES, k=1)
    assert same.personalization_gain == 0.0


def test_what_recommends_the_same_to_all_is_said() -> None:
    same = {"test_personalization_gain": -0.0021, "test_top_20_share_at_10": 0.98}
    assert same_for_all(same, "test") == (
        "It recommends nearly the same to all users: 20 movies fill 98% of all top tens, and "
        "personal lists add -0.0021 to the accuracy of one list for all."
    )
    assert same_for_all(same | {"test_personalization_gain": 0.1}, "test") is None
    assert same_for_all(same | {"test_top_20_share_at_10": 0.5}, "test") is None
    assert same_for_all({"test_top_100_accuracy": 0.3}, "test") is None  # of version 0.1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="scores must be finite"):
        rank_all(lambda users: np.full((len(users), CANDIDATES), bad), TRAIN, EVALUATED, CANDIDATES)


@pytest.mark.parametrize(("seed", "block"), [(0, 1), (1, 148), (2, 700), (3, 2000)])
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
    for name, users in whole.by_user.items():
        assert len(users.totals) == len(np.unique(evaluated.user_id[evaluated.liked]))
        assert users.totals.sum() / users.weights.sum() == pytest.approx(getattr(whole, name))


def test_a_model_is_measured_as_in_training(users: FeatureTable, movies: FeatureTable) -> None:
    config = ModelConfig(layer_sizes=(6, 4), embedding_dimension=3)
    model = RetrievalModel.for_tables(users, movies, config, seed=3)
    evaluated = random_interactions(200, seed=4)
    metrics = rank_all(
        model_scores(model, users, movies), random_interactions(50, 5), evaluated, movies.rows
    )
    evaluation = evaluate_model(
        model, users, movies, evaluated, split="test", config=TrainingConfig()
    )
    assert metrics.top_100_accuracy == pytest.approx(evaluation.value)
    assert metrics.named("test")["test_top_100_accuracy"] == metrics.top_100_accuracy
