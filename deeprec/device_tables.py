"""Feature tables on the device: each kind of feature in the form that is cheapest there.

A feature with one value a row is a column of integers. One with several values is a matrix of
shares where its vocabulary is small (a matrix product replaces the lookups), and a flat list of
its values where it is large: a title has 4 words on average, and the table pads it to 16.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from deeprec.tables import Feature, FeatureTable, FloatArray, IntArray

SMALL_VOCABULARY = 64
"""Up to this size the whole vocabulary goes through the first layer, before any lookup."""


class ValueList(NamedTuple):
    """The values of a multivalued feature, one after another, without padding inside.

    Attributes:
        values: int ``[..., n]``; 0 where the list is padded at its end.
        rows: int ``[..., n]``, the row each value belongs to, ascending; one past the last row
            where the list is padded.
    """

    values: jax.Array
    rows: jax.Array


class FeatureRows(NamedTuple):
    """Features of some rows of a table, or of all of them.

    Attributes:
        ids: int ``[rows]``; None where the embeddings of the id are looked up already.
        columns: int ``[rows]`` by feature: those with one value a row, but for the id.
        shares: float ``[rows, vocabulary]`` by feature: several values a row, small vocabulary.
            Each value has its share of the row: three genres have a third each.
        inverse_counts: float ``[rows]`` by feature: one over the number of values of the row.
        lists: by feature: several values a row, large vocabulary.
    """

    ids: jax.Array | None
    columns: Mapping[str, jax.Array]
    shares: Mapping[str, jax.Array]
    inverse_counts: Mapping[str, jax.Array]
    lists: Mapping[str, ValueList]

    def take(self, ids: jax.Array, lists: Mapping[str, ValueList]) -> "FeatureRows":
        """The rows of the given ids, whose lists were made by :func:`value_lists`."""

        def at_ids(columns: Mapping[str, jax.Array]) -> Mapping[str, jax.Array]:
            return {name: take_rows(column, ids) for name, column in columns.items()}

        return FeatureRows(
            ids, at_ids(self.columns), at_ids(self.shares), at_ids(self.inverse_counts), lists
        )


def take_rows(table: jax.Array, ids: jax.Array) -> jax.Array:
    """``table[ids]`` for ids that are known to be rows of the table: nothing checks them again."""
    return table.at[ids].get(mode="promise_in_bounds", wrap_negative_indices=False)


def put_rows(table: jax.Array, ids: jax.Array, rows: jax.Array) -> jax.Array:
    """The table with the given rows in the place of those of the ids.

    An id that stands there twice must have the same row in both places. Of 138,000 rows of 32,
    looking up 995 and putting them back takes 0.14 ms on a CPU; adding to them takes 0.17.
    """
    return table.at[ids].set(rows, mode="promise_in_bounds", wrap_negative_indices=False)


def is_share(feature: Feature) -> bool:
    """Whether a feature lies on the device as a matrix of shares."""
    return feature.is_multivalued and feature.vocabulary_size <= SMALL_VOCABULARY


def is_list(feature: Feature) -> bool:
    """Whether a feature lies on the device as a flat list."""
    return feature.is_multivalued and not is_share(feature)


def rows_of(table: FeatureTable) -> FeatureRows:
    """All rows of a table, on the default device."""
    features = table.schema.features
    columns = {
        feature.name: table.columns[feature.name]
        for feature in features
        if not feature.is_multivalued and feature.kind != "id"
    }
    shares = {
        feature.name: _shares(table.columns[feature.name], feature.vocabulary_size)
        for feature in features
        if is_share(feature)
    }
    counts = {
        feature.name: _inverse_counts(table.columns[feature.name])
        for feature in features
        if is_list(feature)
    }
    ids = np.arange(table.rows, dtype=np.int32)
    lists = value_lists_of(table, ids)
    return jax.device_put(FeatureRows(ids, columns, shares, counts, lists))  # type: ignore[arg-type]


def value_lists(table: FeatureTable, ids: Sequence[IntArray]) -> dict[str, ValueList]:
    """The value lists of several selections of rows, each padded to the longest.

    Args:
        table: the features.
        ids: for each selection the rows it takes.

    Returns:
        By feature that is a list: arrays ``[selections, longest]`` in main memory.
    """
    return {
        feature.name: _stacked_lists(table.columns[feature.name], feature, ids)
        for feature in table.schema.features
        if is_list(feature)
    }


def value_lists_of(table: FeatureTable, ids: IntArray) -> dict[str, ValueList]:
    """The value lists of one selection of rows, by feature; arrays ``[n]`` in main memory."""
    stacked = value_lists(table, [ids])
    return {name: ValueList(values[0], rows[0]) for name, (values, rows) in stacked.items()}


def smallest_type(size: int) -> type[np.uint16] | type[np.int32]:
    """The smaller of two integer types that holds ``0 .. size``."""
    return np.uint16 if size <= np.iinfo(np.uint16).max else np.int32


def _stacked_lists(column: IntArray, feature: Feature, ids: Sequence[IntArray]) -> ValueList:
    present = column != 0
    counts = present.sum(axis=1)
    longest = max(int(counts[selection].sum()) for selection in ids)
    most_rows = max(len(selection) for selection in ids)
    values = np.zeros((len(ids), longest), smallest_type(feature.vocabulary_size))
    rows = np.full((len(ids), longest), most_rows, smallest_type(most_rows))
    for number, selection in enumerate(ids):
        of_row, at = np.nonzero(present[selection])
        values[number, : len(of_row)] = column[selection[of_row], at]
        rows[number, : len(of_row)] = of_row
    return ValueList(values, rows)  # type: ignore[arg-type]


def _shares(column: IntArray, vocabulary_size: int) -> FloatArray:
    shares = np.zeros((len(column), vocabulary_size), np.float32)
    row, at = np.nonzero(column)
    np.add.at(shares, (row, column[row, at]), _inverse_counts(column)[row])
    return shares


def _inverse_counts(column: IntArray) -> FloatArray:
    """One over the number of values; a row without any has a sum of zero to be multiplied."""
    return (1.0 / np.maximum((column != 0).sum(axis=1), 1)).astype(np.float32)
