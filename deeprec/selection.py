"""Which movies are shown, by their scores."""

from collections.abc import Iterator, Sequence

import numpy as np

from deeprec.tables import FloatArray, IntArray


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
