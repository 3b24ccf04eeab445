"""Histories of users: the latest items first, each once, from the rows that are trained on."""

from dataclasses import replace

import numpy as np
import pytest

from deeprec.data.history import (
    HISTORY,
    LONGEST,
    history_of,
    padded_history,
    table_for,
    with_history,
)
from deeprec.data.tables import FeatureSchema, FeatureTable, Interactions
from tests.synthetic import MOVIES, USERS, interactions_of


@pytest.fixture
def asking(users: FeatureTable) -> FeatureSchema:
    """The schema of a tower that reads histories."""
    return with_history(users.schema, MOVIES)


def histories(schema: FeatureSchema, users: FeatureTable, rows: Interactions) -> np.ndarray:
    return table_for(schema, users, rows).columns[HISTORY]


def test_the_newest_comes_first_and_each_once(asking: FeatureSchema, users: FeatureTable) -> None:
    rows = interactions_of((2, 9, 1.0), (4, 3, 1.0), (2, 7, 0.75), (2, 9, 0.8), (2, 5, 0.7))
    rows = replace(rows, timestamp=np.array([1, 2, 3, 4, 5], np.uint32))
    found = histories(asking, users, rows)
    assert found.shape == (USERS, LONGEST)
    assert found[2, :3].tolist() == [9, 7, 0]  # three stars and a half are no liking
    assert found[4, :2].tolist() == [3, 0]
    assert found[[0, 1, 3]].sum() == 0


def test_a_long_history_ends_with_its_latest_items(
    asking: FeatureSchema, users: FeatureTable
) -> None:
    many = LONGEST + 5
    rows = interactions_of(*((3, 1 + n, 1.0) for n in range(many)))
    rows = replace(rows, timestamp=np.arange(many, dtype=np.uint32))
    assert histories(asking, users, rows)[3].tolist() == list(range(many, many - LONGEST, -1))


def test_items_that_the_tower_has_no_row_of_are_left_out(users: FeatureTable) -> None:
    schema = with_history(users.schema, 8, 3)
    rows = interactions_of((2, 9, 1.0), (2, 7, 1.0), (2, 5, 1.0), (2, 3, 1.0), (2, 1, 1.0))
    rows = replace(rows, timestamp=np.array([9, 8, 7, 6, 5], np.uint32))
    assert histories(schema, users, rows)[2].tolist() == [7, 5, 3]
    feature = history_of(schema)
    assert feature is not None
    assert padded_history(feature, np.array([9, 7, 5], np.int32)).tolist() == [7, 5, 0]


def test_a_length_of_none_is_no_history(users: FeatureTable) -> None:
    assert with_history(users.schema, MOVIES, 0) is users.schema


def test_a_tower_that_does_not_ask_is_given_the_table_as_it_is(users: FeatureTable) -> None:
    assert table_for(users.schema, users, None) is users
    assert history_of(users.schema) is None


def test_one_that_asks_needs_rows(asking: FeatureSchema, users: FeatureTable) -> None:
    with pytest.raises(ValueError, match="need the rows that were trained on"):
        table_for(asking, users, None)


def test_a_schema_has_one_history(asking: FeatureSchema) -> None:
    assert with_history(asking, MOVIES) is asking
