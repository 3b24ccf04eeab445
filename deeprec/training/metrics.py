"""Metrics of retrieval, used for every model and reference alike: of scores, and of the catalog."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from deeprec.data.tables import IntArray, Interactions

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


@dataclass(frozen=True)
class Catalog:
    """The items, and how popular each is among the users of the rows that were learned from.

    Its metrics are of what all lists show together: how much of the catalog, how evenly, and how
    popular it is. None asks what users want, and random lists do well by most of them. So they are
    reported beside a metric of relevance, and are no objective.

    Attributes:
        popularity: int64 ``[items]``, how many users have a row of each item; no reserved rows.
        users: how many have a row of any.
    """

    popularity: npt.NDArray[np.int64]
    users: int

    @classmethod
    def of(cls, known: Interactions, items: int, reserved: int) -> Self:
        """The catalog of an item table with so many rows, the first of them reserved."""
        pairs = known.pairs(items)
        popularity = np.bincount(pairs % items, minlength=items)[reserved:]
        return cls(popularity, int(np.count_nonzero(np.diff(pairs // items, prepend=-1))))

    @cached_property
    def novelty(self) -> npt.NDArray[np.float64]:
        """The self-information of each item, of the most that there can be: in 0..1.

        ``-log2(share of users)`` (Zhou et al. 2010; Castells et al. 2015) over ``log2(users)``,
        that of an item of a single user: 0 for what all users have, and the same for any number
        of users and any base. What no user has counts as an item of a single user.
        """
        own = np.log(np.maximum(self.popularity, 1))
        return np.asarray(1 - own / np.log(max(self.users, 2)))

    @cached_property
    def percentiles(self) -> npt.NDArray[np.float64]:
        """The share of the catalog that is less popular than each item, in 0..1.

        Of equally popular items half count as less popular, so the mean of the catalog is 1/2.
        """
        _, where, sizes = np.unique(self.popularity, return_inverse=True, return_counts=True)
        return np.asarray((np.cumsum(sizes) - sizes / 2)[where] / len(self.popularity))

    def measure(self, name: str, shown: npt.NDArray[np.integer]) -> float:
        """A metric of all places of all lists, in 0..1.

        See :func:`deeprec.training.lists.measured`.

        Args:
            name: ``coverage``, ``gini``, ``novelty`` or ``popularity_percentile``.
            shown: int ``[places]``, where in the catalog the item of each place is.
        """
        places = np.bincount(shown, minlength=len(self.popularity))
        filled = max(len(shown), 1)
        match name:
            case "coverage":
                return float((places > 0).mean())
            case "gini":
                above = 2 * np.arange(1, len(places) + 1) - len(places) - 1
                return float((above * np.sort(places)).sum() / (len(places) * filled))
            case "novelty":
                return float(places @ self.novelty / filled)
            case "popularity_percentile":
                return float(places @ self.percentiles / filled)
            case _:
                raise ValueError(f"{name} is no metric of the catalog")
