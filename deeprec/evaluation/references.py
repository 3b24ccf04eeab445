"""References that any model should beat, measured by the models' own code.

None of them needs a graphics card or a search. What there is to choose for one, such as the penalty
of EASE, is chosen on the validation rows, as it is for a model: :data:`CHOICES` are all that is
tried.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from operator import attrgetter
from typing import Any, Literal, get_args

import numpy as np
import scipy.sparse
from threadpoolctl import threadpool_limits

from deeprec.data.tables import FloatArray, IntArray, Interactions
from deeprec.evaluation.factorization import ials_factors
from deeprec.evaluation.item_models import (
    ease_scores,
    gram_matrix,
    neighbor_weights,
    rated_matrix,
    slim_weights,
)
from deeprec.evaluation.ranking import MOVIELENS, Judgment, ListMetrics, RankingMetrics, Score

ReferenceName = Literal[
    "popularity",
    "recent_popularity",
    "damped_mean",
    "own_frequent",
    "ease",
    "item_knn",
    "ials",
    "slim",
]

UNSEEN = "_unseen"
"""Ends the keys of references that were chosen where seen movies are removed."""

Parameters = Mapping[str, float]


def _all_of(**values: Sequence[float]) -> tuple[Parameters, ...]:
    return tuple(dict(zip(values, each, strict=True)) for each in product(*values.values()))


CHOICES: dict[ReferenceName, tuple[Parameters, ...]] = {
    "popularity": ({},),
    "recent_popularity": _all_of(days=(7.0, 28.0, 91.0)),
    "damped_mean": _all_of(damping=(5.0, 25.0, 100.0)),
    "own_frequent": ({},),
    "ease": _all_of(penalty=(100.0, 200.0, 500.0, 1000.0, 2000.0)),
    "item_knn": _all_of(neighbors=(50, 100, 200), shrinkage=(0.0, 10.0)),
    "ials": _all_of(
        dimension=(64,), unobserved=(0.03, 0.1, 0.3, 1.0), penalty=(0.001, 0.003, 0.01, 0.03)
    ),
    "slim": _all_of(l1=(0.5, 2.0), l2=(50.0, 200.0, 500.0)),
}
"""The settings that are tried of each reference, of which the best is taken."""

MOST_SECONDS = 3600.0
"""A reference whose settings would take longer on one core, by estimate, is left out."""

CHEAP_SECONDS = 8.0
"""A search waits for references that take less than this, by estimate."""

RATED_HIGH = 0.75
"""What is personal learns from ratings of at least this (four of five stars). On the validation
rows of MovieLens 100K that is better than five stars alone, and than everything that was rated."""


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings:
    """Which reference, and what was chosen for it, see :data:`CHOICES`.

    ``popularity`` is the number of relevant rows, ``recent_popularity`` that of the last days;
    ``damped_mean`` the mean rating, drawn to the mean of all where there are few; ``own_frequent``
    what a user has most often, then what is popular, where people buy again; ``ease``, ``item_knn``
    and ``slim`` see :mod:`deeprec.evaluation.item_models`, ``ials``
    :mod:`deeprec.evaluation.factorization`.

    ``unseen`` tells a choice that is the best where seen movies are removed, and not where they
    stay candidates.
    """

    name: ReferenceName
    parameters: Parameters = field(default_factory=dict)
    unseen: bool = False

    def __post_init__(self) -> None:
        if self.name not in get_args(ReferenceName):
            allowed = ", ".join(get_args(ReferenceName))
            raise ValueError(f"name must be one of {allowed} but got {self.name!r}")

    @property
    def key(self) -> str:
        """Its name in tracking, such as ``ease`` or ``ease_unseen``."""
        return self.name + UNSEEN * self.unseen


Measured = tuple[ReferenceSettings, RankingMetrics | ListMetrics]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What choosing a reference takes, by estimate."""

    seconds: float  # on one core
    memory: int  # bytes, beyond that of the rows

    @property
    def is_cheap(self) -> bool:
        """Whether a search waits for it."""
        return self.seconds <= CHEAP_SECONDS


def costs_of(
    train: Interactions, user_count: int, candidate_count: int, judge: Judgment = MOVIELENS
) -> dict[ReferenceName, Cost]:
    """The references that there can be, each with what choosing it takes, in the order of CHOICES.

    The damped mean needs labels that differ, what was popular lately times that do, and what a user
    has most often that it counts again.
    """
    users, items = float(user_count), float(candidate_count)
    own = np.bincount(train.user_id[train.rating >= RATED_HIGH]).astype(np.float64)
    fewer = min(users, items)
    seconds: dict[ReferenceName, float] = dict.fromkeys(CHOICES, 0.0)
    seconds |= {
        "ease": fewer**3 / 2e10,
        "item_knn": (own**2).sum() / 3e7,
        "ials": 8 * (own.sum() * 64**2 + (users + items) * 64**3 / 3) / 5e9,
        "slim": 8 * 2 * items**3 / 3e10,
    }
    memory: dict[ReferenceName, float] = {"ease": 8 * fewer**2, "slim": 12 * items**2}
    ranking = users * items / 1e8
    possible = {
        "recent_popularity": np.ptp(train.timestamp) > 0,
        "damped_mean": np.ptp(train.rating) > 0,
        "own_frequent": judge.repeats,
    }
    return {
        name: Cost(
            seconds=len(settings) * (seconds[name] + ranking), memory=int(memory.get(name, 0))
        )
        for name, settings in CHOICES.items()
        if possible.get(name, True)
    }


def choose_reference(
    name: ReferenceName,
    train: Interactions,
    validation: Interactions,
    user_count: int,
    candidate_count: int,
    judge: Judgment = MOVIELENS,
) -> list[Measured]:
    """The best of the settings of a reference, fitted on ``train``, on the validation rows.

    The counts are of table rows, row 0 included.

    Returns:
        With its metrics on the validation rows; a second one where MovieLens's other protocol,
        seen movies removed, has another best.
    """
    measured = []
    for parameters in CHOICES[name]:
        settings = ReferenceSettings(name=name, parameters=parameters)
        score = fit_reference(settings, train, user_count, candidate_count)
        measured.append((settings, judge(score, train, validation, candidate_count)))
    if judge.metrics:
        return [_best(measured, attrgetter("objective"))]
    kept = _best(measured, attrgetter("top_100_accuracy"))
    settings, metrics = _best(measured, attrgetter("top_100_accuracy_unseen"))
    return [kept] if settings == kept[0] else [kept, (replace(settings, unseen=True), metrics)]


def fit_reference(
    settings: ReferenceSettings, train: Interactions, user_count: int, candidate_count: int
) -> Score:
    """What the reference learns from some rows, as a function from users to scores.

    A user of whom a personal one knows nothing gets what is popular. It is fitted by one thread:
    so it is the same on every machine of a kind, and fast where all processors are busy.
    """
    parameters = settings.parameters
    popularity = popularity_scores(train, candidate_count)
    match settings.name:
        case "popularity":
            return _same_for_all(popularity)
        case "recent_popularity":
            recent = train[train.days_before_the_last < parameters["days"]]
            return _same_for_all(popularity_scores(recent, candidate_count))
        case "damped_mean":
            damping = parameters["damping"]
            return _same_for_all(damped_mean_scores(train, candidate_count, damping))
        case "own_frequent":
            return _own_frequent(train, user_count, popularity)
    rated = rated_matrix(train[train.rating >= RATED_HIGH], user_count, candidate_count)
    with threadpool_limits(1):
        score = _personal(settings.name, rated, **parameters)
    is_unknown = np.diff(rated.indptr) == 0

    def known_or_popular(users: IntArray) -> FloatArray:
        scores = score(users)
        scores[is_unknown[users]] = popularity
        return scores

    return known_or_popular


def _personal(
    name: ReferenceName, rated: Any, **parameters: Any
) -> Callable[[IntArray], FloatArray]:
    match name:
        case "ease":
            return ease_scores(rated, **parameters)
        case "item_knn":
            near = neighbor_weights(rated, **parameters)
            return lambda users: np.asarray((rated[users] @ near).toarray())
        case "slim":
            weights = slim_weights(gram_matrix(rated.T.tocsr()), **parameters)
            return lambda users: np.asarray(rated[users] @ weights)
        case _:
            user_vectors, item_vectors = ials_factors(rated, **parameters)
            return lambda users: user_vectors[users] @ item_vectors.T


def popularity_scores(train: Interactions, candidate_count: int) -> FloatArray:
    """The number of relevant rows of every movie: float32 ``[candidate_count]``."""
    liked = np.bincount(train.movie_id[train.liked], minlength=candidate_count)
    return liked.astype(np.float32)


def damped_mean_scores(train: Interactions, candidate_count: int, damping: float) -> FloatArray:
    """The mean rating of every movie, drawn to the mean of all where it has few ratings.

    ``sum(rating - mean of all) / (count + damping)``, as in LensKit's bias model, with a damping
    above 0: float32 ``[candidate_count]``.
    """
    above = train.rating - train.rating.mean()
    totals = np.bincount(train.movie_id, weights=above, minlength=candidate_count)
    counts = np.bincount(train.movie_id, minlength=candidate_count)
    return (totals / (counts + damping)).astype(np.float32)


def _own_frequent(train: Interactions, user_count: int, popularity: FloatArray) -> Score:
    """What each user has most often, then what is popular."""
    rows = train[train.liked]
    counts = scipy.sparse.csr_array(
        (np.ones(len(rows), np.float32), (rows.user_id, rows.movie_id)),
        shape=(user_count, len(popularity)),
    )
    below_one = popularity / (popularity.max(initial=0) + 1)

    def score(users: IntArray) -> FloatArray:
        return np.asarray(counts[users].toarray() + below_one, np.float32)

    return score


def _same_for_all(scores: FloatArray) -> Score:
    def score(users: IntArray) -> FloatArray:
        return np.broadcast_to(scores, (len(users), len(scores)))

    return score


def _best(measured: Sequence[Measured], by: Callable[[Any], float]) -> Measured:
    """The one whose metrics are best, the first of equals."""
    return max(measured, key=lambda pair: by(pair[1]))
