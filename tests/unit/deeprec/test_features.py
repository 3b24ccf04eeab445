"""One row a user, whatever the number of ratings; TensorFlow is not needed for that."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deeprec.errors import DataError
from deeprec.features import one_row_each

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
