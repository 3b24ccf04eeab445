"""Top-k accuracy: worked by hand, and against Keras's metric."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeprec.metrics import top_k_accuracy

SCORES = jnp.array([[0.1, 0.9, 0.5, 0.3], [0.4, 0.2, 0.1, 0.8]])


def accuracy(user_rows: list[int], movies: list[int], weights: list[float], k: int) -> float:
    return float(
        top_k_accuracy(
            SCORES, jnp.array(user_rows), jnp.array(movies), jnp.array(weights, jnp.float32), k
        )
    )


@pytest.mark.parametrize(
    ("k", "expected"),
    [(1, 1 / 4), (2, 3 / 4), (3, 3 / 4), (4, 1.0), (100, 1.0)],
)
def test_worked_by_hand(k: int, expected: float) -> None:
    # User 0 has movie 1 first and movie 2 second; user 1 has movie 0 second and movie 2 last.
    assert accuracy([0, 0, 1, 1], [1, 2, 0, 2], [1, 1, 1, 1], k) == pytest.approx(expected)


def test_rows_that_are_not_liked_do_not_count() -> None:
    assert accuracy([0, 0, 1], [1, 0, 2], [1, 0, 1], k=1) == pytest.approx(0.5)


def test_without_liked_rows_it_is_zero() -> None:
    assert accuracy([0, 1], [1, 3], [0, 0], k=1) == 0.0


def test_of_equal_scores_the_lower_id_comes_first() -> None:
    equal = jnp.zeros((1, 4))
    one = jnp.ones(1)
    row = jnp.zeros(1, jnp.int32)
    hits = [float(top_k_accuracy(equal, row, jnp.array([movie]), one, 2)) for movie in range(4)]
    assert hits == [1.0, 1.0, 0.0, 0.0]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equals_the_metric_of_keras(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(7, 30)).astype(np.float32)
    user_rows, movies = rng.integers(0, 7, 64), rng.integers(0, 30, 64)
    weights = (rng.random(64) < 0.3).astype(np.float32)
    metric = keras.metrics.SparseTopKCategoricalAccuracy(k=5, from_sorted_ids=True)
    metric.update_state(movies, np.argsort(-scores[user_rows], axis=1), weights)
    ours = top_k_accuracy(jnp.asarray(scores), user_rows, movies, weights, 5)
    assert float(ours) == pytest.approx(float(metric.result()), abs=1e-6)
