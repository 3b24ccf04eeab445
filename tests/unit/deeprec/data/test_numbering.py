"""Published ids become rows without gaps, in their order, and can be had back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec.data.numbering import Numbering
from deeprec.errors import DataError

IDS = st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=50)


def numbered(*ids: int) -> Numbering:
    return Numbering.of("movie", np.array(ids, np.int32))


@given(ids=IDS)
def test_rows_lead_back_to_the_published_ids(ids: list[int]) -> None:
    numbers = numbered(*ids)
    rows = numbers.rows_of("movie", np.array(ids, np.int32))
    assert rows.dtype == numbers.ids.dtype == np.int32
    assert numbers.ids[rows].tolist() == ids


@given(ids=IDS)
def test_rows_are_without_gaps_and_in_the_order_of_the_ids(ids: list[int]) -> None:
    numbers = numbered(*ids)
    distinct = np.array(sorted(set(ids)), np.int32)
    assert numbers.rows_of("movie", distinct).tolist() == list(range(1, len(distinct) + 1))
    assert numbers.rows == len(distinct) + 1
    assert numbers.ids[0] == 0


def test_ids_without_gaps_are_their_own_rows() -> None:
    assert numbered(3, 1, 2, 1).is_identity
    assert not numbered(1, 2, 4).is_identity
    assert not numbered(2, 3).is_identity


@pytest.mark.parametrize("unknown", [3, 5, 0, -1])
def test_id_without_a_row_is_named(unknown: int) -> None:
    ids = np.array([4, unknown, 2], np.int32)
    with pytest.raises(DataError, match=f"^movie {unknown} is rated but not in the table of movie"):
        numbered(1, 2, 4).rows_of("movie", ids)


@pytest.mark.parametrize("wrong", [0, -7])
def test_ids_count_from_1(wrong: int) -> None:
    with pytest.raises(DataError, match=f"ids of movies must be positive but got {wrong}"):
        numbered(1, wrong)
