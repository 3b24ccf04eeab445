"""The star schema: what a feature, a schema, a table and interactions may be."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from deeprec.data.tables import Feature, FeatureSchema, FeatureTable, Interactions

ID = Feature(name="user_id", kind="id", vocabulary_size=4)
AGE = Feature(name="age", kind="discretized", vocabulary_size=3)
TITLE = Feature(name="title", kind="text", vocabulary_size=9, length=2)
SCHEMA = FeatureSchema((ID, AGE, TITLE))


def columns(**changed: Any) -> dict[str, Any]:
    return {
        "user_id": np.arange(4, dtype=np.int32),
        "age": np.array([0, 2, 1, 2], dtype=np.int32),
        "title": np.array([[0, 0], [8, 1], [3, 0], [5, 5]], dtype=np.int32),
        **changed,
    }


def test_a_schema_survives_its_config() -> None:
    title = {"name": "title", "kind": "text", "vocabulary_size": 9, "length": 2}
    assert SCHEMA.to_config()[2] == title
    assert FeatureSchema.from_config(SCHEMA.to_config()) == SCHEMA


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "number"}, "kind of 'age' must be one of id, .* but got 'number'"),
        ({"vocabulary_size": 0}, "must be at least 1 but got 0 and 1"),
        ({"length": 0}, "must be at least 1 but got 3 and 0"),
        ({"length": 2}, "'age' is discretized and must have length 1 but got 2"),
    ],
)
def test_impossible_feature_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Feature(**{"name": "age", "kind": "discretized", "vocabulary_size": 3, **changed})


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ((ID, AGE, AGE), "feature names must be unique"),
        ((AGE,), "must have exactly one feature of kind id"),
        ((ID, replace(ID, name="b")), "must have exactly one feature of kind id"),
    ],
)
def test_an_impossible_schema_is_refused(features: tuple[Feature, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureSchema(features)


def test_row_of_a_table_belongs_to_its_id() -> None:
    table = FeatureTable(SCHEMA, columns())
    taken = table.take(np.array([2, 1, 2], dtype=np.int32))
    assert table.rows == 4
    np.testing.assert_array_equal(taken["user_id"], [2, 1, 2])
    np.testing.assert_array_equal(taken["age"], [1, 2, 1])
    np.testing.assert_array_equal(taken["title"], [[3, 0], [8, 1], [3, 0]])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"age": np.zeros(3, np.int32)}, r"'age' must be int32 of shape \(4,\) but got .*\(3,\)"),
        ({"age": np.zeros(4, np.int64)}, r"'age' must be int32 .* but got int64"),
        ({"title": np.zeros((4, 3), np.int32)}, r"'title' must be int32 of shape \(4, 2\)"),
        ({"age": np.full(4, 3, np.int32)}, r"'age' must lie in \[0, 3\) but got 3 to 3"),
        ({"age": np.full(4, -1, np.int32)}, r"'age' must lie in \[0, 3\) but got -1 to -1"),
        ({"zip": np.zeros(4, np.int32)}, r"columns must be \['age', 'title', 'user_id'\] but got"),
    ],
)
def test_column_that_no_schema_allows_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureTable(SCHEMA, columns(**changed))


ROWS = Interactions(
    user_id=np.array([1, 2, 3, 4, 5], np.int32),
    movie_id=np.array([5, 4, 3, 2, 1], np.int32),
    rating=np.array([0.0, 0.25, 0.5, 0.75, 1.0], np.float32),
    timestamp=np.array([10, 20, 30, 40, 50], np.uint32),
)


@pytest.mark.parametrize(
    ("rows", "users"),
    [
        (np.array([4, 0, 4]), [5, 1, 5]),
        (slice(1, 3), [2, 3]),
        (ROWS.liked, [5]),
        (np.array([], np.int64), []),
    ],
)
def test_rows_are_taken_in_the_given_order(rows: Any, users: list[int]) -> None:
    taken = ROWS[rows]
    assert len(taken) == len(users)
    assert taken.user_id.tolist() == users
    assert taken.movie_id.tolist() == [6 - user for user in users]
    assert taken.timestamp.tolist() == [10 * user for user in users]
    assert taken.rating.tolist() == [(user - 1) / 4 for user in users]


def test_rows_follow_one_another() -> None:
    both = ROWS[:2].followed_by(ROWS[3:])
    assert (both.user_id.tolist(), both.movie_id.tolist()) == ([1, 2, 4, 5], [5, 4, 2, 1])
    assert both.rating.dtype == np.float32


def test_columns_of_interactions_are_equally_long() -> None:
    with pytest.raises(ValueError, match="must be one-dimensional and equally long"):
        replace(ROWS, movie_id=np.zeros(4, np.int32))
