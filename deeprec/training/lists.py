"""The lists of the best items of each user, and how good they are: for models and references alike.

Lists are made on the device, block by block, so that the scores of all users never exist at once;
metrics are computed from them in NumPy. A user who likes nothing that could be recommended counts
in no mean.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from deeprec.config import Metric
from deeprec.data.tables import IntArray, Interactions
from deeprec.parts import Part, PartError, what_happened
from deeprec.training.metrics import SCORES_IN_A_BLOCK, Catalog
from deeprec.training.programs import compiled

Hits = npt.NDArray[np.bool_]
NOTHING = 0
"""The item of a place of a list that nothing is left for: row 0 is no item."""


class ByUser(NamedTuple):
    """A metric of each user, in the order of their rows; it is ``totals.sum() / weights.sum()``.

    Attributes:
        totals: float64 ``[users]``, what each user adds.
        weights: float64 ``[users]``, of how much: 1 where users count alike.
    """

    totals: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]

    @property
    def mean(self) -> float:
        """The metric over all users."""
        return float(self.totals.sum() / self.weights.sum())


class Judged(NamedTuple):
    """Lists of users, and what is known to judge them.

    Attributes:
        items: int32 ``[users, at least k]``, best first; 0 where nothing is left.
        hits: bool ``[users, at least k]``, which of them count as what their users like.
        counts: int64 ``[users]``, how many items each user likes.
        features: by name, ``[rows, ...]`` of the item table.
    """

    items: IntArray
    hits: Hits
    counts: npt.NDArray[np.int64]
    features: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Asked:
    """The users of some rows, what they like there, and what is not recommended to them.

    Attributes:
        users: int32 ``[users]``, ascending rows of the user table.
        relevant: int64 ``[pairs]``, ``position in users * items + item``, ascending, each once.
        seen: int32 ``[n]``, items that are not recommended, by user.
        starts: int64 ``[users + 1]``, where the seen items of each user start.
        items: rows of the item table.
        reserved: how many of its first rows are no items.
        known: the rows that were learned from.
        features: the columns of the item table, for metrics that are parts.
    """

    users: IntArray
    relevant: npt.NDArray[np.int64]
    seen: IntArray
    starts: npt.NDArray[np.int64]
    items: int
    reserved: int
    known: Interactions
    features: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        rows: Interactions,
        known: Interactions,
        items: int,
        *,
        reserved: int = 1,
        repeats: bool = False,
        features: Mapping[str, npt.NDArray[Any]] | None = None,
    ) -> Self:
        """What some rows ask of a model.

        Args:
            rows: the evaluated ones; those that are relevant count, each user's item once.
            known: the rows that were learned from.
            items: rows of the item table.
            reserved: how many of its first rows are no items.
            repeats: whether what users have there is recommended again, and counts.
            features: the columns of the item table.
        """
        pairs, seen_pairs = rows[rows.liked].pairs(items), np.zeros(0, np.int64)
        if not repeats:
            seen_pairs = known.pairs(items)
            pairs = np.setdiff1d(pairs, seen_pairs, assume_unique=True)
        users, position = np.unique(pairs // items, return_inverse=True)
        own = seen_pairs[np.isin(seen_pairs // items, users)]
        starts = np.searchsorted(own // items, np.append(users, np.iinfo(np.int64).max))
        return cls(
            users.astype(np.int32),
            position * items + pairs % items,
            (own % items).astype(np.int32),
            starts,
            items,
            reserved,
            known,
            features or {},
        )

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many items each user likes, ``[users]``; at least 1 unless some do not count."""
        return np.bincount(self.relevant // self.items, minlength=len(self.users))

    @cached_property
    def catalog(self) -> Catalog:
        """The items by the rows that were learned from."""
        return Catalog.of(self.known, self.items, self.reserved)

    @property
    def block(self) -> int:
        """How many users are scored together."""
        return max(1, min(SCORES_IN_A_BLOCK // self.items, len(self.users)))

    def blocks(self) -> Iterator[slice]:
        """The positions of the users of each block; the last may be smaller."""
        for start in range(0, len(self.users), self.block):
            yield slice(start, min(start + self.block, len(self.users)))

    @cached_property
    def most_seen(self) -> int:
        """The most seen items of a block."""
        sizes = (int(self.starts[b.stop] - self.starts[b.start]) for b in self.blocks())
        return max(sizes, default=0)

    @cached_property
    def most_relevant(self) -> int:
        """The most items that the users of a block like."""
        ends = [np.searchsorted(self.relevant, b.stop * self.items) for b in self.blocks()]
        return max((int(size) for size in np.diff(ends, prepend=0)), default=0)

    def removed(self, block: slice) -> tuple[IntArray, IntArray]:
        """The places in the block's scores that are not recommended, padded with the item 0."""
        start, end = self.starts[block.start], self.starts[block.stop]
        sizes = np.diff(self.starts[block.start : block.stop + 1])
        of_user = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        padding = (0, self.most_seen - len(of_user))
        return np.pad(of_user, padding), np.pad(self.seen[start:end], padding)

    def hits(self, lists: IntArray) -> Hits:
        """Which items of the lists their users like, bool ``[users, k]``."""
        asked = np.arange(len(lists))[:, None] * self.items + lists
        if not len(self.relevant):
            return np.zeros(lists.shape, bool)
        places = np.minimum(np.searchsorted(self.relevant, asked), len(self.relevant) - 1)
        found: Hits = self.relevant[places] == asked
        return found

    def judged(self, lists: IntArray) -> Judged:
        """Lists of all users, int32 ``[users, k]``, with what is known to judge them."""
        return Judged(lists, self.hits(lists), self.counts, self.features)


def best_lists(score: Callable[[slice], jax.Array], asked: Asked, k: int) -> tuple[IntArray, bool]:
    """The best items of every user, best first, of equals the lower row first.

    Args:
        score: maps the positions of a block's users to scores float ``[block, items]``.
        asked: the users, and what is not recommended to them.
        k: how many.

    Returns:
        int32 ``[users, k]``, 0 where nothing is left; and whether all scores are finite.
    """
    lists, finite = np.zeros((len(asked.users), k), np.int32), True
    for block in asked.blocks():
        scores = score(block)
        removed = asked.removed(block)
        plan = (min(k, asked.items), asked.reserved)
        program = compiled(_best, plan, scores, *removed)
        best, is_finite = program(scores, *removed)
        lists[block, : plan[0]] = np.asarray(best)[: block.stop - block.start]
        finite &= bool(is_finite)
    return lists, finite


def _best(
    plan: tuple[int, int], scores: jax.Array, of_user: jax.Array, seen: jax.Array
) -> tuple[jax.Array, jax.Array]:
    k, reserved = plan
    finite = jnp.isfinite(scores).all()
    scores = scores.at[of_user, seen].set(-jnp.inf).at[:, :reserved].set(-jnp.inf)
    values, best = jax.lax.top_k(scores, k)
    return jnp.where(jnp.isneginf(values), NOTHING, best), finite


def measured(lists: IntArray, asked: Asked, metrics: Sequence[Metric]) -> dict[str, float]:
    """The metrics of lists, by their keys; each in 0..1, and 0 where no user likes anything.

    Most are means over users, see :func:`by_user`. Others are of all lists together, each place
    counting alike: ``coverage``, the share of the catalog that is in any list; ``gini``, the Gini
    coefficient of how often each item of the catalog is in a list, 0 where all are in as many and
    nearly 1 where all lists are the same few items; ``novelty`` and ``popularity_percentile``, the
    means of :class:`~deeprec.training.metrics.Catalog`'s.
    """
    if not len(asked.users):
        return {metric.key: 0.0 for metric in metrics}
    judged = asked.judged(lists)
    values = {}
    for metric in metrics:
        if metric.is_of_the_catalog:
            shown = lists[:, : metric.k]
            shown = shown[shown >= asked.reserved] - asked.reserved
            values[metric.key] = asked.catalog.measure(metric.name, shown)
        else:
            values[metric.key] = of_users(metric, judged).mean
    return values


def of_users(metric: Metric, lists: Judged) -> ByUser:
    """What each user adds to a metric: all alike what :func:`by_user` or a part says.

    For ``top_accuracy`` each relevant item counts, so that it is the share of those that are found.
    """
    counts = lists.counts
    if part := metric.part:
        values = _own_by_user(part, metric.k, lists)
    else:
        values = by_user(metric, lists.hits, counts)
    weights = counts.astype(float) if metric.name == "top_accuracy" else np.ones(len(values))
    return ByUser(values * weights, weights)


def _own_by_user(part: Part, k: int, lists: Judged) -> npt.NDArray[np.float64]:
    """What a part says of each user, float ``[users]``: any number, higher is better.

    Raises:
        PartError: it raises, or returns something else.
    """
    given = (lists.items[:, :k], lists.hits[:, :k], lists.counts)
    try:
        values = np.asarray(part.call(*given, k, features=lists.features), np.float64)
    except PartError:
        raise
    except Exception as error:
        raise PartError(f"{part} must judge lists but raised {what_happened(error)}") from error
    if values.shape != lists.counts.shape:
        users = len(lists.counts)
        raise PartError(f"{part} must return [users] = [{users}] but returned {[*values.shape]}")
    if not np.isfinite(values).all():
        raise PartError(f"{part} must return finite numbers but returned some that are not")
    return values


def by_user(metric: Metric, hits: Hits, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """A metric of each user, in 0..1, float ``[users]``.

    ``recall``: hits among the first k, of as many as there could be (k, or what the user likes).
    ``precision``: hits of k. ``hit``: whether there is one. ``mrr``: one over the first one's rank.
    ``map``: the mean precision at each hit, of as many as there could be. ``ndcg``: a hit gains
    ``1 / log2(rank + 1)``, of what the best possible list gains (Burges et al. 2005).
    ``top_accuracy``: hits of what the user likes.

    Args:
        metric: which, at which k.
        hits: bool ``[users, at least k]``, best first.
        counts: how many items each user likes.
    """
    hits = hits[:, : metric.k]
    ranks = np.arange(1, hits.shape[1] + 1)
    possible = np.minimum(counts, metric.k)
    found: npt.NDArray[np.float64] = hits.sum(axis=1).astype(np.float64)
    match metric.name:
        case "recall":
            return found / possible
        case "precision":
            return found / metric.k
        case "top_accuracy":
            return found / counts
        case "hit":
            return np.asarray(hits.any(axis=1), np.float64)
        case "mrr":
            return np.asarray((hits / ranks).max(axis=1))
        case "map":
            return np.asarray((hits * np.cumsum(hits, axis=1) / ranks).sum(axis=1) / possible)
        case "ndcg":
            gains = 1 / np.log2(ranks + 1)
            best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(metric.k) + 2))])
            return np.asarray((hits * gains).sum(axis=1) / best[possible])
        case _:
            raise ValueError(f"{metric} is no metric of single users")
