"""Batches: nothing lost, nothing reordered, distinct rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec.batches import batched
from tests.synthetic import random_interactions


@given(rows=st.integers(1, 60), batch_size=st.integers(1, 25), seed=st.integers(0, 99))
def test_batches_hold_the_interactions_in_order(rows: int, batch_size: int, seed: int) -> None:
    interactions = random_interactions(rows, seed)
    batches = batched(interactions, batch_size)
    real = batches.weights.reshape(-1) == 1
    users = np.take_along_axis(batches.users, batches.user_rows, axis=1).reshape(-1)
    movies = np.take_along_axis(batches.movies, batches.movie_rows, axis=1).reshape(-1)

    assert batches.steps == -(-rows // batch_size)
    assert real.sum() == rows
    assert real[:rows].all()
    np.testing.assert_array_equal(users[real], interactions.user_id)
    np.testing.assert_array_equal(movies[real], interactions.movie_id)
    np.testing.assert_array_equal(batches.ratings.reshape(-1)[real], interactions.rating)


def test_each_user_of_a_batch_stands_there_once() -> None:
    interactions = random_interactions(100, seed=5)
    batches = batched(interactions, 50)
    for users, batch in zip(batches.users, interactions.user_id.reshape(2, 50), strict=True):
        assert list(users[: len(np.unique(batch))]) == sorted(set(batch))
        assert not users[len(np.unique(batch)) :].any()


def test_no_interactions_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        batched(random_interactions(5, seed=1)[:0], 10)
