"""Each kind of feature in the form that is cheapest on the device, worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deeprec.data.tables import Feature, FeatureSchema, FeatureTable
from deeprec.training.device_tables import (
    LEFT_OUT_WHOLE,
    SMALL_VOCABULARY,
    places_in,
    rows_of,
    shown_in,
    thinned,
)

TABLE = FeatureTable(
    FeatureSchema(
        (
            Feature(name="id", kind="id", vocabulary_size=3),
            Feature(name="decade", kind="categorical", vocabulary_size=9),
            Feature(name="genres", kind="tags", vocabulary_size=4, length=3),
            Feature(name="words", kind="text", vocabulary_size=SMALL_VOCABULARY + 1, length=4),
        )
    ),
    {
        "id": np.arange(3, dtype=np.int32),
        "decade": np.array([0, 8, 3], np.int32),
        "genres": np.array([[0, 0, 0], [1, 3, 0], [0, 2, 2]], np.int32),
        "words": np.array([[0, 0, 0, 0], [7, 0, 9, 5], [64, 0, 0, 0]], np.int32),
    },
)


def test_every_feature_but_the_id_has_one_form() -> None:
    rows = rows_of(TABLE)
    assert rows.ids is not None
    assert rows.ids.tolist() == [0, 1, 2]
    assert {name: column.tolist() for name, column in rows.columns.items()} == {"decade": [0, 8, 3]}
    assert {name: matrix.tolist() for name, matrix in rows.shares.items()} == {
        "genres": [[0, 0, 0, 0], [0, 0.5, 0, 0.5], [0, 0, 1, 0]]
    }
    words = rows.lists["words"]
    assert words.places is not None
    assert (words.values.tolist(), words.rows.tolist()) == ([7, 9, 5, 64], [1, 1, 1, 2])
    assert (words.places.tolist(), words.counts.tolist()) == ([4, 6, 7, 8], [0, 3, 1])


def test_rows_that_training_does_not_know_have_the_id_of_an_unknown_row() -> None:
    unknown = np.array([0, 1, 2, 1, 1], np.int32)  # rows 3 and 4
    columns = {
        name: np.resize(column, (5, *column.shape[1:])) for name, column in TABLE.columns.items()
    }
    rows = rows_of(FeatureTable(TABLE.schema, {**columns, "id": unknown}))
    taken = rows.take(jnp.array([2, 3, 4]), None)
    assert taken.ids is not None
    assert taken.ids.tolist() == [2, 1, 1]


def test_a_step_sees_a_part_of_each_history_and_of_some_nothing() -> None:
    history = jnp.tile(jnp.arange(50), (2000, 1))  # each with one place of padding
    seen = np.asarray(thinned(history, jnp.float32(0.3), jax.random.key(1)))
    assert set(np.unique(seen - np.asarray(history) * (seen > 0))) == {0}
    counts = np.count_nonzero(seen, axis=1)
    assert np.mean(counts == 0) == pytest.approx(LEFT_OUT_WHOLE, abs=0.02)
    assert counts[counts > 0].mean() / 49 == pytest.approx(0.7, abs=0.01)
    again = thinned(history, jnp.float32(0.3), jax.random.key(2))
    assert not np.array_equal(seen, again)


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        (None, [[0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]),
        ([4, 1, 7, 0, 0], [[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]),  # 7 is unknown, the end is padding
    ],
    ids=["the whole table", "some of it"],
)
def test_what_is_shown_is_told_by_candidate(ids: list[int] | None, shown: list[list[int]]) -> None:
    histories = jnp.array([[4, 2, 0], [0, 0, 0]])
    places = places_in(None if ids is None else jnp.array(ids), items=5, candidates=5)
    assert shown_in(histories, places, 5).astype(int).tolist() == shown
