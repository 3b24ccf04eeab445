"""Which movies are shown, by their scores: the best of each user, and each title once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from deeprec.data.tables import FloatArray, IntArray


def rows_by_title(titles: Sequence[str]) -> list[IntArray]:
    """The rows of the movies that share a title with another one, an array a title.

    MovieLens lists some movies under two ids; to people they are one. Movies without a title
    share none.
    """
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, title in enumerate(titles):
        rows[title].append(row)
    return [np.array(same, np.int32) for title, same in rows.items() if title and len(same) > 1]


def keep_one_of_each_title(scores: FloatArray, same: Sequence[IntArray]) -> None:
    """Leaves of movies with one title the best alone, or none where one of them was removed.

    Args:
        scores: float ``[users, movies]``, changed in place; ``-inf`` is what was removed.
        same: as :func:`rows_by_title` finds them.
    """
    users = np.arange(len(scores))
    for rows in same:
        own = scores[:, rows]
        best = own.argmax(axis=1)
        kept = np.where(np.isneginf(own).any(axis=1), -np.inf, own[users, best])
        scores[:, rows] = -np.inf
        scores[users, rows[best]] = kept


def best_of(scores: FloatArray, counts: Sequence[int]) -> Iterator[IntArray]:
    """The movies with the highest scores of each user, best first, of equals the lower row first.

    Args:
        scores: float ``[users, movies]``; what has ``-inf`` is never among the best.
        counts: how many of each user, at least 1; fewer where there are not so many.
    """
    most = min(max(counts, default=1), scores.shape[1])
    bounds = -np.partition(-scores, most - 1, axis=1)[:, most - 1]
    for own, bound, count in zip(scores, bounds, counts, strict=True):
        found = np.flatnonzero((own >= bound) & ~np.isneginf(own)).astype(np.int32)
        yield found[np.argsort(-own[found], kind="stable")][:count]
