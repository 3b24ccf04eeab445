"""How well anything ranks: the final metrics, the same code for every model and every reference.

What is ranked is a function from users to scores. A movie is liked by a user where an evaluated
row has five stars. Two protocols: the tutorial's keeps the movies that the user rated in training
among the candidates (none of them can be right, as no user rates a movie twice); the other
removes them, as a recommender that is used would.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.typing import ArrayLike

from deeprec.config import Metric
from deeprec.data.dataset import Dataset, Splits
from deeprec.data.history import table_for
from deeprec.data.tables import FeatureTable, FloatArray, IntArray, Interactions
from deeprec.evaluation.slices import Slice, by_slice, slices_of, users_in
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_tables import places_of
from deeprec.training.forward import program_of, programs_of, weights_of
from deeprec.training.lists import Asked, ByUser, best_lists, measured, of_users
from deeprec.training.metrics import SCORES_IN_A_BLOCK, ranks

Score = Callable[[IntArray], ArrayLike]
"""Maps user ids int ``[n]`` to scores float ``[n, candidates]``, all finite."""

Ranks = npt.NDArray[np.int64]

FEW = 10
"""Of what is shown at once: recall, nDCG and coverage look at so many."""

HEAD = 20
"""Of the movies recommended most often, whose share of all places tells concentration."""

SAME_SHARE, SAME_GAIN = 0.75, 0.01
"""A model recommends nearly the same to all where the head's share is at least the one and the
personalization gain below the other. On MovieLens 100K popularity has 0.93 and 0, the tutorial's
model 0.98 and 0.002, EASE 0.37 and 0.07, a two-tower model trained to rank 0.46 and 0.15."""


@dataclass(frozen=True, kw_only=True)
class RankingMetrics:
    """Metrics of some evaluated rows, each in 0..1; 0 where no row holds a liked movie.

    Attributes:
        top_100_accuracy: the share of liked rows whose movie is among the user's 100 highest
            scores, seen movies kept: the tutorial's metric.
        top_100_accuracy_unseen: the same, seen movies removed.
        recall_at_10: the mean over users of the share of their liked movies that are among
            their 10 highest scores, seen movies removed.
        ndcg_at_10: the mean over users of the normalized discounted cumulative gain of these 10:
            a liked movie gains ``1 / log2(rank + 1)`` from rank 1 on (Burges et al. 2005), and the
            best possible order of the user's liked movies gains 1 in all.
        coverage_at_10: the share of the catalog that is among these 10 of any user who likes
            something.
        top_20_share_at_10: the share of all these places that the 20 movies fill that are
            recommended most often; 1 where all users get the same.
        personalization_gain: ``top_100_accuracy`` less what it is where every user has the mean
            of all users' scores. In -1..1; 0 where scores are the same for all.
        slices: ``top_100_accuracy`` for parts of the rows, by names such as
            ``top_100_accuracy_unknown_users``; of test rows alone.
        by_user: both accuracies of each user who likes something, by their names, and those of the
            slices.
    """

    top_100_accuracy: float
    top_100_accuracy_unseen: float
    recall_at_10: float
    ndcg_at_10: float
    coverage_at_10: float
    top_20_share_at_10: float
    personalization_gain: float
    slices: Mapping[str, float] = field(default_factory=dict)
    by_user: Mapping[str, ByUser] = field(default_factory=dict, compare=False, repr=False)

    def named(self, split: str) -> dict[str, float]:
        """The metrics under their names in tracking, such as ``test_recall_at_10``."""
        names = (each.name for each in fields(self) if each.name not in ("slices", "by_user"))
        values = {name: getattr(self, name) for name in names} | dict(self.slices)
        return {f"{split}_{name}": value for name, value in values.items()}


def same_for_all(metrics: Mapping[str, float], split: str) -> str | None:
    """A sentence where a model recommends nearly the same to all users; None where it does not.

    The metrics are by their names in tracking; those of version 0.1.0 lack what is needed.
    """
    gain = metrics.get(f"{split}_personalization_gain")
    share = metrics.get(f"{split}_top_20_share_at_10")
    if gain is None or share is None or share < SAME_SHARE or gain >= SAME_GAIN:
        return None
    return (
        f"It recommends nearly the same to all users: {HEAD} movies fill {share:.0%} of all top "
        f"tens, and personal lists add {gain:+.4f} to the accuracy of one list for all."
    )


def rank_all(
    score: Score,
    train: Interactions,
    evaluated: Interactions,
    candidate_count: int,
    *,
    k: int = 100,
    scores_in_a_block: int = SCORES_IN_A_BLOCK,
) -> RankingMetrics:
    """Measures what a scorer retrieves for the users of some rows.

    Args:
        score: is called for some users at a time, so that the scores of all never exist at once.
        train: the rows learned from; their movies are what a user has seen.
        evaluated: the rows to measure on.
        candidate_count: how many movies there are, row 0 included.
        k: how many are retrieved.
        scores_in_a_block: how many scores may exist at once.

    Raises:
        ValueError: a score is not finite.
    """
    rows = evaluated[evaluated.liked_once]
    liked = rows[np.argsort(rows.user_id, kind="stable")]
    kept, unseen = np.empty(len(liked), np.int64), np.empty(len(liked), np.int64)
    seen, lists = _SeenMovies(train), _Lists(candidate_count)
    for block in _blocks(liked.user_id, max(scores_in_a_block // candidate_count, 1)):
        users, of_row = np.unique(liked.user_id[block], return_inverse=True)
        scores = np.asarray(score(users))
        if not np.isfinite(scores).all():
            raise ValueError("scores must be finite but got some that are not")
        lists.total += scores.sum(axis=0, dtype=np.float64)
        movies = liked.movie_id[block]
        kept[block] = _ranks(scores, of_row, movies)
        scores = scores.copy()
        scores[seen.of(users)] = -np.inf
        unseen[block] = _ranks(scores, of_row, movies)
        lists.add(scores)
    return RankingMetrics(
        top_100_accuracy=_mean(kept < k),
        top_100_accuracy_unseen=_mean(unseen < k),
        recall_at_10=_recall(liked.user_id, unseen),
        ndcg_at_10=_ndcg(liked.user_id, unseen),
        coverage_at_10=lists.coverage,
        top_20_share_at_10=lists.head_share,
        personalization_gain=_mean(kept < k) - _mean(lists.mean_ranks[liked.movie_id] < k),
        by_user={
            name: ByUser(_by_user(liked.user_id, found < k), _by_user(liked.user_id, found >= 0))
            for name, found in (("top_100_accuracy", kept), ("top_100_accuracy_unseen", unseen))
        },
    )


def list_metrics(
    score: Score, asked: Asked, metrics: Sequence[Metric], slices: Iterable[Slice] = ()
) -> "ListMetrics":
    """Metrics of the lists that a scorer recommends, see :mod:`deeprec.training.lists`.

    The first metric follows for each slice.

    Raises:
        ValueError: a score is not finite.
    """

    def of_block(block: slice) -> jax.Array:
        scores = np.zeros((asked.block, asked.items), np.float32)
        scores[: block.stop - block.start] = score(asked.users[block])
        return jnp.asarray(scores)

    lists, finite = best_lists(of_block, asked, max(metric.k for metric in metrics))
    if not finite:
        raise ValueError("scores must be finite but got some that are not")
    values = measured(lists, asked, metrics)
    if metrics[0].is_of_the_catalog or not len(asked.users):
        return ListMetrics(values)
    parts = by_slice(lists, asked, metrics[0], slices)
    users = {metrics[0].key: of_users(metrics[0], asked.judged(lists))} | parts
    return ListMetrics(values | {name: each.mean for name, each in parts.items()}, users)


@dataclass(frozen=True)
class ListMetrics:
    """Metrics of lists by their keys, the objective first.

    ``by_user`` has the objective of each user who likes something; nothing where it is none of
    single users, such as coverage.
    """

    values: Mapping[str, float]
    by_user: Mapping[str, ByUser] = field(default_factory=dict, compare=False, repr=False)

    @property
    def objective(self) -> float:
        """What is compared."""
        return next(iter(self.values.values()))

    def named(self, split: str) -> dict[str, float]:
        """The metrics under their names in tracking, such as ``test_ndcg_at_10``."""
        return {f"{split}_{name}": value for name, value in self.values.items()}


@dataclass(frozen=True, kw_only=True)
class Judgment:
    """How models and references are judged on some rows.

    Attributes:
        metrics: of lists, the objective first; MovieLens's own (:class:`RankingMetrics`) when none
            is named.
        repeats: whether what a user has counts, and is listed, again.
        reserved: how many of the first rows are no items.
        slices: whether the objective is measured for parts of the rows, too.
        features: slices by features of users or items.
        columns: of the item table, for metrics that are parts.
    """

    metrics: tuple[Metric, ...] = ()
    repeats: bool = False
    reserved: int = 1
    slices: bool = False
    features: tuple[Slice, ...] = ()
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def of_test(self) -> Self:
        """The same on test rows, which are looked at in parts, too."""
        return replace(self, slices=True)

    def __call__(
        self, score: Score, known: Interactions, rows: Interactions, items: int
    ) -> RankingMetrics | ListMetrics:
        """Measures a scorer on some rows; ``known`` are those that it learned from."""
        if not self.metrics:
            ranked = rank_all(score, known, rows, items)
            if not self.slices:
                return ranked
            asked = self._asked(TUTORIALS, known, rows, items)
            lists = list_metrics(score, asked, [TUTORIALS], self._slices(asked))
            parts = {name: v for name, v in lists.values.items() if name != TUTORIALS.key}
            return replace(ranked, slices=parts, by_user={**lists.by_user, **ranked.by_user})
        found: list[ListMetrics] = []
        for keeps_seen in (self.metrics[0].keeps_seen, not self.metrics[0].keeps_seen):
            metrics = [each for each in self.metrics if each.keeps_seen is keeps_seen]
            asked = self._asked((*metrics, TUTORIALS)[0], known, rows, items)
            slices = self._slices(asked) if self.slices and not found else []
            found += [list_metrics(score, asked, metrics, slices)] if metrics else []
        values = {name: value for each in found for name, value in each.values.items()}
        first = {metric.key: values[metric.key] for metric in self.metrics}
        return ListMetrics({**first, **values}, found[0].by_user)

    def users_in_slices(
        self, known: Interactions, rows: Interactions, items: int
    ) -> dict[str, int]:
        """How many users each slice of some rows has, by its name."""
        asked = self._asked((*self.metrics, TUTORIALS)[0], known, rows, items)
        return users_in(asked, self._slices(asked))

    def _asked(self, metric: Metric, known: Interactions, rows: Interactions, items: int) -> Asked:
        repeats = self.repeats or metric.keeps_seen
        return Asked.of(
            rows, known, items, reserved=self.reserved, repeats=repeats, features=self.columns
        )

    def _slices(self, asked: Asked) -> list[Slice]:
        return [*slices_of(asked), *self.features]


TUTORIALS = Metric("top_accuracy", 100)
"""What MovieLens is judged by, see :attr:`RankingMetrics.top_100_accuracy`."""

MOVIELENS = Judgment()


def model_scores(
    model: RetrievalModel,
    users: FeatureTable,
    movies: FeatureTable,
    known: Interactions | None = None,
) -> Score:
    """Scores by the present weights of a model; the candidates, all movies, are embedded here.

    ``known`` are the rows that it was trained on, of which towers that read histories make them.
    """
    query, candidate = programs_of(model)
    tower, weights = model.query_model, weights_of(model)
    on_device = query.rows_of(table_for(query.schema, users, known))
    candidates = candidate.embed(weights.candidate, candidate.rows_of(movies))

    def score(ids: IntArray) -> jax.Array:
        asked = on_device.take(jnp.asarray(ids), places_of(users, ids))
        # Made anew, as the program of one's own tower lives no longer than the tower.
        return program_of(tower).embed(weights.query, asked) @ candidates.T

    return score


def rank_validation_rows(
    model: RetrievalModel, dataset: Dataset, splits: Splits, judge: Judgment = MOVIELENS
) -> RankingMetrics | ListMetrics:
    """Measures a model on the validation rows; what a user has seen are the training rows."""
    score = model_scores(model, dataset.users, dataset.movies, splits.train)
    return judge(score, splits.train, splits.validation, dataset.movies.rows)


def rank_test_rows(
    model: RetrievalModel, dataset: Dataset, splits: Splits, judge: Judgment = MOVIELENS
) -> RankingMetrics | ListMetrics:
    """Measures a model on the test rows; what a user has seen are all rows before them."""
    score = model_scores(model, dataset.users, dataset.movies, splits.before_test)
    return judge.of_test(score, splits.before_test, splits.test, dataset.movies.rows)


class _SeenMovies:
    """Which movies a user has rated, as positions in a matrix of scores."""

    def __init__(self, train: Interactions) -> None:
        order = np.argsort(train.user_id, kind="stable")
        self._users, self._movies = train.user_id[order], train.movie_id[order]

    def of(self, users: IntArray) -> tuple[npt.NDArray[Any], IntArray]:
        """The rows and columns of the seen movies of some users, in ascending order."""
        firsts = np.searchsorted(self._users, users, side="left")
        lasts = np.searchsorted(self._users, users, side="right")
        taken = [self._movies[first:last] for first, last in zip(firsts, lasts, strict=True)]
        return np.repeat(np.arange(len(users)), lasts - firsts), np.concatenate(taken)


class _Lists:
    """What is recommended to all users together."""

    def __init__(self, candidate_count: int) -> None:
        self.total = np.zeros(candidate_count)
        """The sum of the users' scores."""
        self.places = np.zeros(candidate_count, np.int64)
        """How many top tens each movie is in."""

    def add(self, scores: FloatArray) -> None:
        """Counts the top tens of some users; row 0 is no movie."""
        scores[:, 0] = -np.inf
        best, items = map(np.asarray, jax.lax.top_k(scores, min(FEW, scores.shape[1])))
        np.add.at(self.places, items[~np.isneginf(best)], 1)

    @property
    def coverage(self) -> float:
        """The share of the movies that are in any top ten."""
        return _mean(self.places[1:] > 0)

    @property
    def head_share(self) -> float:
        """The share of the places of those movies that are in most top tens."""
        return float(np.sort(self.places)[-HEAD:].sum() / max(self.places.sum(), 1))

    @property
    def mean_ranks(self) -> Ranks:
        """The rank of each movie by the mean score, of equals the lower row first."""
        found = np.empty(len(self.total), np.int64)
        found[np.argsort(-self.total, kind="stable")] = np.arange(len(found))
        return found


def _blocks(users: IntArray, size: int) -> Iterator[slice]:
    """Slices of sorted users, each with at most ``size`` different ones and none cut in two."""
    starts = np.flatnonzero(np.diff(users, prepend=-1))[::size]
    for start, end in pairwise([*starts.tolist(), len(users)]):
        yield slice(start, end)


def _ranks(scores: FloatArray, of_row: npt.NDArray[Any], movies: IntArray) -> Ranks:
    """The rank of each liked movie among the scores of its user, ``scores[of_row]``."""
    found = np.empty(len(movies), np.int64)
    step = len(scores)  # no more scores are copied at once than the block has
    for start in range(0, len(movies), step):
        part = slice(start, start + step)
        found[part] = ranks(scores[of_row[part]], movies[part])
    return found


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _recall(users: IntArray, found: Ranks) -> float:
    return _mean(_by_user(users, found < FEW) / _by_user(users, np.ones(len(found))))


def _ndcg(users: IntArray, found: Ranks) -> float:
    gains = np.where(found < FEW, 1 / np.log2(found + 2), 0.0)
    best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(FEW) + 2))])
    ideal = best[np.minimum(_by_user(users, np.ones(len(found))).astype(int), FEW)]
    return _mean(_by_user(users, gains) / ideal)


def _by_user(users: IntArray, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Sums over the rows of each of the users that are there, in their order."""
    of_row = np.unique(users, return_inverse=True)[1]
    return np.bincount(of_row, weights=values).astype(np.float64)
