"""One row a user, whatever the number of ratings; TensorFlow is not needed for that."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deeprec.data.features import one_row_each, recipe_of, rescaled
from deeprec.data.tables import LIKED_ABOVE
from deeprec.errors import DataError
from deeprec.sources.releases import (
    MOVIELENS_1M,
    MOVIELENS_20M,
    MOVIELENS_25M,
    MOVIELENS_100K,
    Release,
)

PER_USER = arrays.arrays(np.int32, st.integers(2, 30), elements=st.integers(0, 1000))


@given(per_user=PER_USER, seed=st.integers(0, 2**32 - 1))
def test_feature_of_a_user_is_found_again(per_user: np.ndarray, seed: int) -> None:
    users = len(per_user) - 1
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.r_[1 : users + 1, rng.integers(1, users + 1, 50)]).astype(np.int32)
    column = one_row_each("age", ids, per_user[ids])
    assert column.dtype == np.int32
    np.testing.assert_array_equal(column[1:], per_user[1:])


@given(per_user=PER_USER)
def test_row_0_belongs_to_nobody(per_user: np.ndarray) -> None:
    ids = np.arange(1, len(per_user), dtype=np.int32)
    assert one_row_each("age", ids, per_user[ids])[0] == 0


@pytest.mark.parametrize("values", [[4, 5, 4, 6], [4, 6, 4, 5]])
def test_feature_that_changes_within_a_user_is_refused(values: list[int]) -> None:
    ids = np.array([1, 2, 1, 2], dtype=np.int32)
    with pytest.raises(DataError, match="age must depend on the user alone but user 2 has several"):
        one_row_each("age", ids, np.array(values))


@pytest.mark.parametrize("dtype", [np.bool_, np.float32, np.int64])
def test_type_of_a_feature_is_kept(dtype: type) -> None:
    ids = np.array([1, 2, 1], dtype=np.int32)
    column = one_row_each("age", ids, np.array([1, 0, 1]).astype(dtype))
    assert column.dtype == dtype
    np.testing.assert_array_equal(column, np.array([0, 1, 0]).astype(dtype))


# --- the label --------------------------------------------------------------------------------


@pytest.mark.parametrize("release", [MOVIELENS_100K, MOVIELENS_1M])
def test_whole_stars_become_quarters(release: Release) -> None:
    label = rescaled(np.array([1, 2, 3, 4, 5], np.float32), release)
    assert label.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert label.dtype == np.float32


@pytest.mark.parametrize("release", [MOVIELENS_20M, MOVIELENS_25M])
def test_half_stars_become_ninths(release: Release) -> None:
    label = rescaled(np.linspace(0.5, 5, 10, dtype=np.float32), release)
    np.testing.assert_allclose(label, np.arange(10) / 9, rtol=1e-6)
    assert (label[0], label[-1]) == (0, 1)
    assert label.dtype == np.float32


@pytest.mark.parametrize("release", [MOVIELENS_20M, MOVIELENS_25M])
def test_five_stars_are_liked_and_four_and_a_half_are_not(release: Release) -> None:
    label = rescaled(np.array([4, 4.5, 5], np.float32), release)
    assert (label > LIKED_ABOVE).tolist() == [False, False, True]


def test_recipe_of_the_tutorial_is_what_prepared_data_was_made_by() -> None:
    # A change of it makes every prepared MovieLens 100K useless: it decides the fingerprint.
    assert recipe_of(MOVIELENS_100K) == {
        "raw_user_age": {"kind": "discretized", "bins": 10, "adapt_batch": 32},
        "user_gender": {"kind": "categorical", "oov": 0},
        "user_occupation_label": {"kind": "categorical", "oov": 0},
        "user_gender_X_raw_user_age": {"kind": "cross", "buckets": 20},
        "movie_title": {"kind": "text", "max_tokens": 10_000, "length": 16},
        "movie_genres": {"kind": "tags", "offset": 1},
        "user_rating": {"scale": 1 / 4, "offset": -1 / 4},
    }
