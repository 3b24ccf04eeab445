"""Published ids become rows, one a user and one a movie; TensorFlow is not needed for that."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec.data.features import Numbering, one_row_each, recipe_of, rescaled
from deeprec.data.tables import LIKED_ABOVE
from deeprec.errors import DataError
from deeprec.sources.releases import MOVIELENS_1M, MOVIELENS_25M, MOVIELENS_100K

IDS = st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=50)


def numbered(*ids: int) -> Numbering:
    return Numbering.of("movie", np.array(ids, np.int32))


@given(ids=IDS)
def test_rows_have_no_gaps_and_the_order_of_ids_and_lead_back_to_them(ids: list[int]) -> None:
    numbers, distinct = numbered(*ids), sorted(set(ids))
    rows = numbers.rows_of("movie", np.array(ids, np.int32))
    assert rows.dtype == numbers.ids.dtype == np.int32
    assert rows.tolist() == [distinct.index(id_) + 1 for id_ in ids]
    assert numbers.ids.tolist() == [0, *distinct]


def test_ids_without_gaps_are_their_own_rows() -> None:
    assert numbered(3, 1, 2, 1).is_identity
    assert not numbered(1, 2, 4).is_identity
    assert not numbered(2, 3).is_identity


@pytest.mark.parametrize("unknown", [3, 5, 0, -1])
def test_an_id_without_a_row_is_named(unknown: int) -> None:
    ids = np.array([4, unknown, 2], np.int32)
    with pytest.raises(DataError, match=f"^movie {unknown} is rated but not in the table of movie"):
        numbered(1, 2, 4).rows_of("movie", ids)


@pytest.mark.parametrize("wrong", [0, -7])
def test_ids_count_from_1(wrong: int) -> None:
    with pytest.raises(DataError, match=f"ids of movies must be positive but got {wrong}"):
        numbered(1, wrong)


@pytest.mark.parametrize("dtype", [np.bool_, np.float32, np.int64])
def test_what_all_ratings_say_of_a_user_is_so_of_the_user(dtype: type) -> None:
    ids = np.array([1, 4, 2, 1], np.int32)
    column = one_row_each("age", ids, np.array([1, 1, 0, 1]).astype(dtype))
    assert column.dtype == dtype
    np.testing.assert_array_equal(column, np.array([0, 1, 0, 0, 1]).astype(dtype))


@pytest.mark.parametrize("values", [[4, 5, 4, 6], [4, 6, 4, 5]])
def test_a_feature_that_changes_within_a_user_is_refused(values: list[int]) -> None:
    ids = np.array([1, 2, 1, 2], np.int32)
    with pytest.raises(DataError, match="age must depend on the user alone but user 2 has several"):
        one_row_each("age", ids, np.array(values))


def test_labels_reach_from_0_to_1_and_only_five_stars_are_liked() -> None:
    for release in (MOVIELENS_100K, MOVIELENS_1M):
        whole = rescaled(np.array([1, 2, 3, 4, 5], np.float32), release)
        assert whole.tolist() == [0, 0.25, 0.5, 0.75, 1]
    half = rescaled(np.linspace(0.5, 5, 10, dtype=np.float32), MOVIELENS_25M)
    np.testing.assert_allclose(half, np.arange(10) / 9, rtol=1e-6)
    assert (half[0], half[-1]) == (0, 1)
    assert whole.dtype == half.dtype == np.float32
    assert (half > LIKED_ABOVE).tolist() == [False] * 9 + [True]


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
