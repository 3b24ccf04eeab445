"""Each kind of feature in the form that is cheapest on the device, worked by hand."""

import jax.numpy as jnp
import numpy as np

from deeprec.data.tables import Feature, FeatureSchema, FeatureTable
from deeprec.training.device_tables import SMALL_VOCABULARY, rows_of, stacked_places

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
    assert (words.values.tolist(), words.rows.tolist()) == ([7, 9, 5, 64], [1, 1, 1, 2])
    assert (words.places.tolist(), words.counts.tolist()) == ([4, 6, 7, 8], [0, 3, 1])


def test_places_of_several_selections_are_padded_to_the_longest() -> None:
    first, second = np.array([2, 0], np.int32), np.array([2, 1, 0], np.int32)
    places = stacked_places(TABLE, [first, second])["words"]
    assert places.tolist() == [[0, 12, 12, 12], [0, 4, 6, 7]]


def test_lists_of_some_rows_hold_their_values_and_padding_belongs_to_no_row() -> None:
    selections = [np.array([2, 0, 0], np.int32), np.array([2, 1, 0], np.int32)]
    places = stacked_places(TABLE, [selections[0][:2], selections[1]])["words"]
    first, second = (
        rows_of(TABLE).take(jnp.asarray(ids), {"words": jnp.asarray(of_list)}).lists["words"]
        for ids, of_list in zip(selections, places, strict=True)
    )
    assert (first.values.tolist()[:1], first.rows.tolist()) == ([64], [0, 3, 3, 3])
    assert (second.values.tolist(), second.rows.tolist()) == ([64, 7, 9, 5], [0, 1, 1, 1])
    assert (first.counts.tolist(), second.counts.tolist()) == ([1, 0, 0], [1, 3, 0])
