"""Metrics of retrieval: pure functions on JAX arrays, used for every model and reference alike."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from deeprec.data.tables import IntArray

SCORES_IN_A_BLOCK = 1 << 22
"""Scores that exist at once: 16 MiB, whatever the number of users and candidates."""


class LikedRows(NamedTuple):
    """The liked interactions (five stars), in blocks: each ``[blocks, rows]``, zeros in padding.

    ``users`` says which user of those evaluated, ``movies`` the movie's id.
    """

    users: jax.Array
    movies: jax.Array
    is_row: jax.Array

    @classmethod
    def of(
        cls, users: IntArray, movies: IntArray, liked: npt.NDArray[np.bool_], candidates: int
    ) -> Self:
        """The liked ones of some interactions, in main memory.

        The number of candidates decides the size of a block.
        """
        count = int(liked.sum())
        rows = min(max(SCORES_IN_A_BLOCK // candidates, 1), max(count, 1))
        blocks = max(-(-count // rows), 1)

        def cut(column: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
            return np.pad(column[liked], (0, blocks * rows - count)).reshape(blocks, rows)

        parts = (users.astype(np.int32), movies.astype(np.int32), liked)
        return cls(*map(cut, parts))  # type: ignore[arg-type]


def means_over_liked(
    score: Callable[[jax.Array], jax.Array],
    liked: LikedRows,
    measure: Callable[[jax.Array, jax.Array], tuple[jax.Array, ...]],
) -> tuple[tuple[jax.Array, ...], jax.Array]:
    """Means over the liked interactions of what is measured on the scores of their users.

    The scores are computed block by block; those of all users never exist at once. Of
    ``ranks(scores, movies) < k`` the mean is the tutorial's metric:
    ``keras.metrics.SparseTopKCategoricalAccuracy(k, from_sorted_ids=True)`` on five-star rows.

    Args:
        score: maps int ``[rows]``, as in ``liked.users``, to scores ``[rows, candidates]``.
        liked: the interactions that count.
        measure: maps scores and movie ids ``[rows]`` to numbers, each ``[rows]``.

    Returns:
        The mean of each, float ``[]``, 0 where nothing is liked; and whether all scores are
        finite, bool ``[]``: if not, the means say nothing.
    """

    def add(so_far: jax.Array, block: LikedRows) -> tuple[jax.Array, jax.Array]:
        scores = score(block.users)
        measured = measure(scores, block.movies)
        sums = [jnp.sum(jnp.where(block.is_row, part, 0.0)) for part in measured]
        return so_far & jnp.isfinite(scores).all(), jnp.stack(sums)

    finite, sums = jax.lax.scan(add, jnp.ones((), jnp.bool_), liked)
    means = sums.sum(axis=0) / jnp.maximum(jnp.sum(liked.is_row), 1)
    return tuple(means), finite


def ranks(scores: Any, movie_ids: Any) -> Any:
    """How many candidates come before a movie, in the order of their scores.

    Of equal scores the candidate with the lower id comes first. Nothing is sorted. Both arguments
    are arrays of JAX or both of NumPy, and so is the result.

    Args:
        scores: float ``[n, candidates]``, without NaN; what is no candidate has ``-inf``.
        movie_ids: int ``[n]``, the candidate asked about in each row.
    """
    library = scores.__array_namespace__()
    asked = movie_ids[:, None]
    own = library.take_along_axis(scores, asked, axis=-1)
    comes_first = library.arange(scores.shape[-1]) < asked
    before = (scores > own) | ((scores == own) & comes_first)
    return library.sum(before, axis=-1)
