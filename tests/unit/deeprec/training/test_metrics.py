"""Top-k accuracy: worked by hand, and against Keras's metric."""

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from deeprec.training.metrics import SCORES_IN_A_BLOCK, LikedRows, means_over_liked, ranks

SCORES = jnp.array([[0.1, 0.9, 0.5, 0.3], [0.4, 0.2, 0.1, 0.8]])
CANDIDATES = 4


def liked_rows(
    users: list[int], movies: list[int], liked: list[bool], candidates: int = CANDIDATES
) -> LikedRows:
    return LikedRows.of(
        np.array(users, np.int32), np.array(movies, np.int32), np.array(liked), candidates
    )


def top_k_accuracy(score: Any, rows: LikedRows, k: int) -> tuple[jax.Array, jax.Array]:
    (mean,), finite = means_over_liked(score, rows, lambda *pair: (ranks(*pair) < k,))
    return mean, finite


def accuracy(users: list[int], movies: list[int], liked: list[bool], k: int) -> float:
    rows = liked_rows(users, movies, liked)
    return float(top_k_accuracy(lambda users: SCORES[users], rows, k)[0])


@pytest.mark.parametrize(
    ("k", "expected"), [(1, 1 / 4), (2, 3 / 4), (3, 3 / 4), (4, 1.0), (100, 1.0)]
)
def test_worked_by_hand(k: int, expected: float) -> None:
    # User 0 has movie 1 first and movie 2 second; user 1 has movie 0 second and movie 2 last.
    assert accuracy([0, 0, 1, 1], [1, 2, 0, 2], [True] * 4, k) == pytest.approx(expected)


def test_rows_that_are_not_liked_do_not_count() -> None:
    assert accuracy([0, 0, 1], [1, 0, 2], [True, False, True], k=1) == pytest.approx(0.5)
    assert accuracy([0, 1], [1, 3], [False, False], k=1) == 0.0


def test_of_equal_scores_the_lower_id_comes_first() -> None:
    hits = ranks(jnp.zeros((4, 4)), jnp.arange(4)) < 2
    assert hits.tolist() == [True, True, False, False]


def test_a_score_that_is_not_finite_is_seen_in_any_block() -> None:
    one_row_a_block = SCORES_IN_A_BLOCK
    rows = liked_rows([0, 1, 0], [1, 0, 2], [True] * 3, candidates=one_row_a_block)
    assert rows.users.shape == (3, 1)
    _, finite = top_k_accuracy(lambda users: SCORES[users], rows, 2)
    _, damaged = top_k_accuracy(lambda users: SCORES.at[1, 3].set(jnp.nan)[users], rows, 2)
    assert bool(finite)
    assert not bool(damaged)


@pytest.mark.parametrize("rows_in_a_block", [1, 7, 40])
def test_equals_the_metric_of_keras_whatever_the_blocks(rows_in_a_block: int) -> None:
    rng = np.random.default_rng(rows_in_a_block)
    scores = rng.normal(size=(7, 30)).astype(np.float32)
    users, movies = (rng.integers(0, top, 64, dtype=np.int32) for top in (7, 30))
    liked = rng.random(64) < 0.3
    metric = keras.metrics.SparseTopKCategoricalAccuracy(k=5, from_sorted_ids=True)
    metric.update_state(movies, np.argsort(-scores[users], axis=1), liked.astype(np.float32))
    rows = LikedRows.of(users, movies, liked, SCORES_IN_A_BLOCK // rows_in_a_block)
    ours, _ = top_k_accuracy(lambda users: jnp.asarray(scores)[users], rows, 5)
    assert float(ours) == pytest.approx(float(metric.result()), abs=1e-6)
