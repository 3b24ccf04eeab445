"""References that any model should beat, measured by the models' own code.

None of them needs a seed, a graphics card or a search. What there is to choose for one, such as
the penalty of EASE, is chosen on the validation rows, as it is for a model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Literal, get_args

import numpy as np
import scipy.linalg
import scipy.sparse

from deeprec.data.tables import FloatArray, IntArray, Interactions
from deeprec.evaluation.ranking import MOVIELENS, Judgment, ListMetrics, RankingMetrics, Score

ReferenceName = Literal[
    "popularity", "recent_popularity", "damped_mean", "own_frequent", "ease", "ease_unseen"
]

RECENT_DAYS = (7.0, 28.0, 91.0)
DAMPINGS = (5.0, 25.0, 100.0)
PENALTIES = (100.0, 200.0, 500.0, 1000.0, 2000.0)

MICROSECONDS_OF_DAY = 24 * 60 * 60 * 1_000_000

EASE_RATING = 0.75
"""EASE learns from ratings of at least this (four of five stars). On the validation rows of
MovieLens 100K that is better than five stars alone, and than everything that was rated."""

MOST_MOVIES_FOR_EASE = 5_000
"""EASE inverts a matrix of movies by movies: 8 seconds and 1 GB at this size, for each penalty."""


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings:
    """Which reference, and what was chosen for it: ``days``, ``damping`` or ``penalty``.

    ``recent_popularity`` counts the last days of other data than MovieLens, where it has times;
    ``own_frequent`` is what a user has most often, then what is popular, where people buy again;
    ``popularity`` is the number of relevant rows, ``damped_mean`` the mean rating, drawn to the
    mean of all where there are few, ``ease`` EASE with the penalty that is best where seen movies
    stay candidates, ``ease_unseen`` where they are removed.
    """

    name: ReferenceName
    parameters: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in get_args(ReferenceName):
            allowed = ", ".join(get_args(ReferenceName))
            raise ValueError(f"name must be one of {allowed} but got {self.name!r}")


def choose_references(
    train: Interactions,
    validation: Interactions,
    user_count: int,
    candidate_count: int,
    judge: Judgment = MOVIELENS,
) -> list[tuple[ReferenceSettings, RankingMetrics | ListMetrics]]:
    """The references fitted on ``train``, what there is to choose chosen on the validation rows.

    The counts are of table rows, row 0 included. EASE is left out where there are more candidates
    than :data:`MOST_MOVIES_FOR_EASE`, the damped mean where all labels are equal, and what a user
    has most often where that does not count again.

    Returns:
        Each with its metrics on the validation rows.
    """

    def measured(settings: ReferenceSettings) -> _Measured:
        score = fit_reference(settings, train, user_count, candidate_count)
        return settings, judge(score, train, validation, candidate_count)

    def each(name: ReferenceName, parameter: str, values: Sequence[float]) -> list[_Measured]:
        return [
            measured(ReferenceSettings(name=name, parameters={parameter: value}))
            for value in values
        ]

    ease_by: Mapping[ReferenceName, _By] = {"ease": _objective} if judge.metrics else _EASE_BY
    chosen = [measured(ReferenceSettings(name="popularity"))]
    if judge.metrics and np.ptp(train.timestamp) > 0:
        chosen.append(_best(each("recent_popularity", "days", RECENT_DAYS), ease_by["ease"]))
    if np.ptp(train.rating) > 0:
        chosen.append(_best(each("damped_mean", "damping", DAMPINGS), ease_by["ease"]))
    if judge.repeats:
        chosen.append(measured(ReferenceSettings(name="own_frequent")))
    if candidate_count <= MOST_MOVIES_FOR_EASE:
        penalized = each("ease", "penalty", PENALTIES)
        for name, by in ease_by.items():
            settings, metrics = _best(penalized, by)
            chosen.append((replace(settings, name=name), metrics))
    return chosen


def fit_reference(
    settings: ReferenceSettings, train: Interactions, user_count: int, candidate_count: int
) -> Score:
    """What the reference learns from some rows, as a function from users to scores."""
    if settings.name == "popularity":
        return _same_for_all(popularity_scores(train, candidate_count))
    if settings.name == "recent_popularity":
        since = train.timestamp.max() - round(settings.parameters["days"] * MICROSECONDS_OF_DAY)
        recent = train[train.timestamp > since]
        return _same_for_all(popularity_scores(recent, candidate_count))
    if settings.name == "damped_mean":
        damping = settings.parameters["damping"]
        return _same_for_all(damped_mean_scores(train, candidate_count, damping))
    if settings.name == "own_frequent":
        return _own_frequent(train, user_count, candidate_count)
    return _ease(train, user_count, candidate_count, settings.parameters["penalty"])


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


def ease_weights(rated: Any, penalty: float) -> FloatArray:
    """EASE (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data").

    The matrix ``B`` with a diagonal of zero that minimizes ``|X - X B|^2 + penalty * |B|^2``:
    ``-P / diag(P)`` off the diagonal, where ``P`` is the inverse of ``X' X + penalty * I``.

    Args:
        rated: ``X``, sparse float ``[users, movies]``: 1 where a user rated a movie high.
        penalty: above 0.
    """
    gram = (rated.T @ rated).toarray()
    gram[np.diag_indices_from(gram)] += penalty
    inverse = scipy.linalg.inv(gram, overwrite_a=True, check_finite=False)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights.astype(np.float32)


def _ease(train: Interactions, user_count: int, candidate_count: int, penalty: float) -> Score:
    rows = train[train.rating >= EASE_RATING]
    rated = scipy.sparse.csr_array(
        (np.ones(len(rows), np.float32), (rows.user_id, rows.movie_id)),
        shape=(user_count, candidate_count),
    )
    weights = ease_weights(rated, penalty)
    popularity = popularity_scores(train, candidate_count)

    def score(users: IntArray) -> FloatArray:
        scores = np.asarray(rated[users] @ weights, np.float32)
        is_unknown = np.diff(rated.indptr)[users] == 0
        scores[is_unknown] = popularity  # nothing is known of them, as of a new user
        return scores

    return score


def _own_frequent(train: Interactions, user_count: int, candidate_count: int) -> Score:
    """What each user has most often, then what is popular."""
    rows = train[train.liked]
    counts = scipy.sparse.csr_array(
        (np.ones(len(rows), np.float32), (rows.user_id, rows.movie_id)),
        shape=(user_count, candidate_count),
    )
    popularity = popularity_scores(train, candidate_count)
    popularity /= popularity.max(initial=0) + 1

    def score(users: IntArray) -> FloatArray:
        return np.asarray(counts[users].toarray() + popularity, np.float32)

    return score


def _same_for_all(scores: FloatArray) -> Score:
    def score(users: IntArray) -> FloatArray:
        return np.broadcast_to(scores, (len(users), len(scores)))

    return score


_Measured = tuple[ReferenceSettings, RankingMetrics | ListMetrics]
_By = Callable[[Any], float]

_objective: _By = attrgetter("objective")
_EASE_BY: Mapping[ReferenceName, _By] = {
    "ease": attrgetter("top_100_accuracy"),
    "ease_unseen": attrgetter("top_100_accuracy_unseen"),
}


def _best(measured: Sequence[_Measured], by: _By) -> _Measured:
    """The one whose metrics are best, the first of equals."""
    return max(measured, key=lambda pair: by(pair[1]))
