"""What users liked, as one more feature of theirs: who is unknown can be described by it."""

import numpy as np

from deeprec.data.tables import Feature, FeatureSchema, FeatureTable, IntArray, Interactions

HISTORY = "history"

LIKED_FROM = 0.75
"""A label from which an item is liked, and in a history: four stars of five."""

LONGEST = 128
"""Items of a history where nothing else is said. On MovieLens 100K the median user rated 65."""


def history_of(schema: FeatureSchema) -> Feature | None:
    """The feature, where a schema has it."""
    return next((feature for feature in schema.features if feature.name == HISTORY), None)


def with_history(schema: FeatureSchema, items: int, length: int = LONGEST) -> FeatureSchema:
    """The schema with a history of so many rows of an item table, once; of none without a length.

    ``items`` is how many rows of the item table there are, the reserved ones included.
    """
    if history_of(schema) or not length:
        return schema
    history = Feature(name=HISTORY, kind="history", vocabulary_size=items, length=length)
    return FeatureSchema((*schema.features, history))


def padded_history(history: Feature, rows: IntArray) -> IntArray:
    """The first of some rows of the item table, padded with 0, int32 ``[length]``."""
    found = np.zeros(history.length, np.int32)
    kept = rows[rows < history.vocabulary_size][: history.length]
    found[: len(kept)] = kept
    return found


def table_for(
    schema: FeatureSchema, users: FeatureTable, known: Interactions | None
) -> FeatureTable:
    """The users as a tower of the schema reads them: with their histories, if it does.

    Args:
        schema: of the tower.
        users: without histories.
        known: the rows that are trained on: those that are liked are history.

    Returns:
        A table in which the history is int32 ``[users, length]``, rows of the item table, the
        newest first, each once, padded with 0.

    Raises:
        ValueError: the tower reads histories, and no rows are given.
    """
    feature = history_of(schema)
    if feature is None:
        return users
    if known is None:
        raise ValueError("towers that read histories need the rows that were trained on")
    items = feature.vocabulary_size
    rows = known[(known.rating >= LIKED_FROM) & (known.movie_id < items)]
    rows = rows[np.lexsort((-rows.timestamp.astype(np.int64), rows.user_id))]
    pairs = rows.user_id.astype(np.int64) * items + rows.movie_id
    rows = rows[np.sort(np.unique(pairs, return_index=True)[1])]  # the newest of each pair
    starts = np.searchsorted(rows.user_id, np.arange(users.rows))
    place = np.arange(len(rows)) - starts[rows.user_id]
    kept = place < feature.length
    history = np.zeros((users.rows, feature.length), np.int32)
    history[rows.user_id[kept], place[kept]] = rows.movie_id[kept]
    own = FeatureSchema((*users.schema.features, feature))
    return FeatureTable(own, {**users.columns, HISTORY: history})
