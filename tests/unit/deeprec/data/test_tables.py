"""The star schema: what a feature, a schema, a table and interactions may be."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


NAMES = st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True)


@given(names=NAMES, data=st.data())
def test_schema_survives_its_config(names: list[str], data: st.DataObject) -> None:
    others = [
        Feature(
            name=name,
            kind=data.draw(st.sampled_from(["categorical", "discretized", "cross"])),
            vocabulary_size=data.draw(st.integers(1, 99)),
        )
        for name in names[1:]
    ]
    schema = FeatureSchema((Feature(name=names[0], kind="id", vocabulary_size=7), *others))
    assert FeatureSchema.from_config(schema.to_config()) == schema


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


def test_only_text_and_tags_have_several_values() -> None:
    assert [feature.is_multivalued for feature in SCHEMA.features] == [False, False, True]


def test_names_are_unique() -> None:
    with pytest.raises(ValueError, match="feature names must be unique"):
        FeatureSchema((ID, AGE, AGE))


@pytest.mark.parametrize(
    "features", [(AGE,), (ID, Feature(name="b", kind="id", vocabulary_size=1))]
)
def test_schema_has_exactly_one_id(features: tuple[Feature, ...]) -> None:
    with pytest.raises(ValueError, match="must have exactly one feature of kind id"):
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
def test_column_that_the_schema_does_not_allow_is_refused(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureTable(SCHEMA, columns(**changed))


def interactions(rows: int) -> Interactions:
    return Interactions(
        user_id=np.arange(rows, dtype=np.int32),
        movie_id=np.arange(rows, dtype=np.int32)[::-1],
        rating=np.linspace(0, 1, rows, dtype=np.float32),
        timestamp=np.arange(rows, dtype=np.uint32) * 10,
    )


@given(rows=st.integers(0, 20), data=st.data())
def test_rows_are_taken_in_the_given_order(rows: int, data: st.DataObject) -> None:
    index = st.integers(0, rows - 1) if rows else st.nothing()
    order = np.array(data.draw(st.lists(index)), dtype=np.int64)
    taken = interactions(rows)[order]
    assert len(taken) == len(order)
    np.testing.assert_array_equal(taken.user_id, order)
    np.testing.assert_array_equal(taken.timestamp, order * 10)


def test_slice_of_interactions() -> None:
    np.testing.assert_array_equal(interactions(5)[1:3].user_id, [1, 2])


def test_only_five_stars_are_liked() -> None:
    stars = np.arange(1, 6)
    rated = Interactions(
        user_id=np.zeros(5, np.int32),
        movie_id=np.zeros(5, np.int32),
        rating=((stars - 1) / 4).astype(np.float32),
        timestamp=np.zeros(5, np.uint32),
    )
    np.testing.assert_array_equal(rated.liked, stars == 5)


def test_columns_of_interactions_are_equally_long() -> None:
    with pytest.raises(ValueError, match="must be one-dimensional and equally long"):
        Interactions(
            user_id=np.zeros(5, np.int32),
            movie_id=np.zeros(4, np.int32),
            rating=np.zeros(5, np.float32),
            timestamp=np.zeros(5, np.uint32),
        )
