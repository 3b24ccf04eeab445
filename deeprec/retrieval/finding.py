"""Which items are recommended: the best of all that are scored, or of those that an index finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from deeprec.data.tables import FloatArray, IntArray
from deeprec.retrieval.approximate import EXPANSION, ONE_IN, Index
from deeprec.retrieval.selection import best_items

SCORES_IN_A_BLOCK = 1 << 24
"""Scores of some users that exist at once: 64 MiB, whatever the number of items."""

Mask = npt.NDArray[np.bool_]
Found = tuple[IntArray, FloatArray]


@dataclass(frozen=True, kw_only=True)
class Finder:
    """The items of a recommender, and how some of them are found for users.

    Attributes:
        embeddings: float32 ``[items, dimension]``.
        reserved: how many of the first rows are no items.
        same: items that are one to people, see :func:`deeprec.retrieval.selection.rows_by_title`.
        index: of these embeddings; None where all items are scored.
    """

    embeddings: FloatArray
    reserved: int
    same: IntArray
    index: Index | None = None

    @property
    def block(self) -> int:
        """How many users are scored together."""
        return max(SCORES_IN_A_BLOCK // len(self.embeddings), 1)

    def allowed(self, among: Mask | None) -> Mask:
        """What may be recommended, bool ``[items]``: all items where nothing is said."""
        allowed = np.ones(len(self.embeddings), bool) if among is None else among.copy()
        allowed[: self.reserved] = False
        return allowed

    def best(
        self,
        queries: jax.Array,
        seen: Sequence[IntArray],
        counts: npt.NDArray[np.int64],
        allowed: Mask,
        *,
        exact: bool,
    ) -> Found:
        """The items with the highest dot products, best first, of equals the lower row first.

        Args:
            queries: float32 ``[at least users, dimension]``; those beyond the users are padding.
            seen: what each user is not shown, rows of items.
            counts: how many each user is shown, at least 1.
            allowed: what :meth:`allowed` says.
            exact: whether the index is left aside. It misses a few, and is never asked alone:
                where it finds too few that may be shown, all items are scored.

        Returns:
            Rows, int32 ``[users, k]``, and scores, float32 ``[users, k]``, ``-inf`` where fewer are
            left or were asked for.
        """
        k = min(int(counts.max(initial=1)), len(self.embeddings))
        if not len(counts):
            return np.zeros((0, k), np.int32), np.zeros((0, k), np.float32)
        if exact or self.index is None:
            return self._scored(queries, seen, counts, allowed, k)
        return self._searched(np.asarray(queries), seen, counts, allowed, k)

    def _scored(
        self,
        queries: jax.Array,
        seen: Sequence[IntArray],
        counts: npt.NDArray[np.int64],
        allowed: Mask,
        k: int,
    ) -> Found:
        """The best of all items."""
        computed = min(rounded(k, 16), len(self.embeddings))
        scores, rows = best_items(
            queries, self._on_device, allowed, self._pairs(seen), self.same, k=computed
        )
        best = np.array(scores[: len(counts), :k])
        best[np.arange(k) >= counts[:, None]] = -np.inf
        return np.asarray(rows[: len(counts), :k]), best

    def _searched(
        self,
        queries: FloatArray,
        seen: Sequence[IntArray],
        counts: npt.NDArray[np.int64],
        allowed: Mask,
        k: int,
    ) -> Found:
        """The best of what the index finds; of all items for users for whom it finds too few."""
        rows = np.zeros((len(counts), k), np.int32)
        scores = np.full((len(counts), k), -np.inf, np.float32)
        share, rest = np.count_nonzero(allowed) / len(allowed), []
        for user, count in enumerate(counts.tolist()):
            found = self._nearest(queries[user], seen[user], count, allowed, share)
            if found is None:
                rest.append(user)
            else:
                rows[user, :count], scores[user, :count] = found
        if rest:
            padded = np.resize(rest, min(rounded(len(rest), 1), self.block))
            rows[rest], scores[rest] = self._scored(
                jnp.asarray(queries[padded]),
                [seen[user] for user in rest],
                counts[rest],
                allowed,
                k,
            )
        return rows, scores

    def _nearest(
        self, query: FloatArray, seen: IntArray, count: int, allowed: Mask, share: float
    ) -> Found | None:
        """So many items by the index; None where few of what it finds may be shown."""
        assert self.index is not None
        wanted = EXPANSION + (count + len(seen)) / max(share, 1e-9)
        if wanted > self._most:
            return None
        rows = self.index.near(query, round(wanted))
        rows = rows[allowed[rows] & ~np.isin(self._group[rows], self._group[seen])]
        scores = self.embeddings[rows] @ query
        order = np.lexsort((rows, -scores))
        first = np.unique(self._group[rows[order]], return_index=True)[1]
        best = order[np.sort(first)[:count]]
        return None if len(best) < count else (rows[best], scores[best])

    def _pairs(self, seen: Sequence[IntArray]) -> IntArray:
        """What is not shown: a place among the users and an item, int32 ``[2, n]``."""
        lengths = [len(rows) for rows in seen]
        beyond = len(self.embeddings) + self.block
        pairs = np.full((2, rounded(sum(lengths), 64)), beyond, np.int32)
        pairs[0, : sum(lengths)] = np.repeat(np.arange(len(seen)), lengths)
        pairs[1, : sum(lengths)] = np.concatenate([pairs[1, :0], *seen])
        return pairs

    @property
    def _most(self) -> int:
        """For how many items the index is asked at most."""
        return max(2 * EXPANSION, len(self.embeddings) // ONE_IN)

    @cached_property
    def _on_device(self) -> jax.Array:
        """The embeddings, where they are ranked."""
        return jnp.asarray(self.embeddings)

    @cached_property
    def _group(self) -> IntArray:
        """For each item the first of those that are one to people, int32 ``[items]``."""
        group = np.arange(len(self.embeddings) + 1, dtype=np.int32)
        group[self.same] = self.same[:, :1]
        return group[:-1]


def rounded(count: int, least: int) -> int:
    """A count of at least so many, rounded up: JAX compiles for each that it meets.

    These are 1, 16, 256, ... times the least.
    """
    steps = max(-(-count // least) - 1, 0).bit_length()
    return int(least * 16 ** -(-steps // 4))
