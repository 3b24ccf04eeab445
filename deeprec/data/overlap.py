"""What a split loses: how much of the evaluated rows is of users or items that training lacks."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from deeprec.data.tables import IntArray, Interactions


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """The users and the items of some evaluated rows, and those without a row to learn from."""

    rows: int
    users: int
    unknown_users: int
    rows_of_unknown_users: int
    items: int
    unknown_items: int
    rows_of_unknown_items: int

    @classmethod
    def of(cls, rows: Interactions, known: Interactions) -> Self:
        """Counts some rows; ``known`` are those that are learned from."""
        users, unknown_users, rows_of_users = _counts(rows.user_id, known.user_id)
        items, unknown_items, rows_of_items = _counts(rows.movie_id, known.movie_id)
        return cls(
            rows=len(rows),
            users=users,
            unknown_users=unknown_users,
            rows_of_unknown_users=rows_of_users,
            items=items,
            unknown_items=unknown_items,
            rows_of_unknown_items=rows_of_items,
        )


def _counts(ids: IntArray, known: IntArray) -> tuple[int, int, int]:
    """How many ids there are, how many are unknown, and how many rows those have."""
    size = 1 + max(int(ids.max(initial=0)), int(known.max(initial=0)))
    rows, is_known = np.bincount(ids, minlength=size), np.bincount(known, minlength=size) > 0
    unknown = rows[~is_known]
    return int((rows > 0).sum()), int((unknown > 0).sum()), int(unknown.sum())
