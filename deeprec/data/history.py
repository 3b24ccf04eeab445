"""What users have interacted with, as one more feature of theirs, for towers that ask for it."""

import numpy as np

from deeprec.data.tables import Feature, FeatureSchema, FeatureTable, Interactions

HISTORY = "history"

LONGEST = 128
"""Items of a history: the latest of them. On MovieLens 100K a user has rated 65 in the median."""


def history_of(schema: FeatureSchema) -> Feature | None:
    """The feature, where a schema has it."""
    return next((feature for feature in schema.features if feature.name == HISTORY), None)


def with_history(schema: FeatureSchema, items: int) -> FeatureSchema:
    """The schema with a history of rows of an item table of so many rows, once."""
    if history_of(schema):
        return schema
    history = Feature(name=HISTORY, kind="tags", vocabulary_size=items, length=LONGEST)
    return FeatureSchema((*schema.features, history))


def table_for(
    schema: FeatureSchema, users: FeatureTable, known: Interactions | None, items: int
) -> FeatureTable:
    """The users as a tower of the schema reads them: with their histories, if it does.

    Args:
        schema: of the tower.
        users: without histories.
        known: the rows that are trained on: those with a rating above 0 are history.
        items: rows of the item table.

    Returns:
        A table in which the history is int32 ``[users, LONGEST]``, rows of the item table, the
        newest first, each once, padded with 0.

    Raises:
        ValueError: the tower reads histories, and no rows are given.
    """
    if history_of(schema) is None:
        return users
    if known is None:
        raise ValueError("towers that read histories need the rows that were trained on")
    rows = known[known.rating > 0]
    rows = rows[np.lexsort((-rows.timestamp.astype(np.int64), rows.user_id))]
    pairs = rows.user_id.astype(np.int64) * items + rows.movie_id
    rows = rows[np.sort(np.unique(pairs, return_index=True)[1])]  # the newest of each pair
    starts = np.searchsorted(rows.user_id, np.arange(users.rows))
    place = np.arange(len(rows)) - starts[rows.user_id]
    kept = place < LONGEST
    history = np.zeros((users.rows, LONGEST), np.int32)
    history[rows.user_id[kept], place[kept]] = rows.movie_id[kept]
    return FeatureTable(with_history(users.schema, items), {**users.columns, HISTORY: history})
