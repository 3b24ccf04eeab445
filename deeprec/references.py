"""References that any model should beat, measured by the models' own metric."""

import jax
import jax.numpy as jnp
import numpy as np

from deeprec.metrics import LikedRows, top_k_accuracy
from deeprec.programs import QUICK_TO_COMPILE, compiled
from deeprec.tables import FloatArray, Interactions


def popularity_scores(train: Interactions, candidate_count: int) -> FloatArray:
    """Scores every movie by its number of five-star ratings in the training rows.

    Returns:
        float32 ``[candidate_count]``, the same for every user.
    """
    liked = np.bincount(train.movie_id[train.liked], minlength=candidate_count)
    return liked.astype(np.float32)


def popularity_accuracy(
    train: Interactions, evaluated: Interactions, candidate_count: int, k: int = 100
) -> float:
    """Top-k accuracy of recommending everybody the same most popular movies.

    Args:
        train: the rows that popularity is counted on.
        evaluated: the rows that it is measured on.
        candidate_count: rows of the movie table, row 0 included.
        k: candidates retrieved for a user.

    Returns:
        The accuracy in 0..1, by the protocol of :func:`deeprec.metrics.top_k_accuracy`: movies
        rated in training stay among the candidates.
    """
    everybody = np.zeros(len(evaluated), np.int32)
    liked = LikedRows.of(everybody, evaluated.movie_id, evaluated.liked, candidate_count)
    scores = popularity_scores(train, candidate_count)
    return float(compiled(_same_for_all, k, scores, liked, options=QUICK_TO_COMPILE)(scores, liked))


def _same_for_all(k: int, scores: jax.Array, liked: LikedRows) -> jax.Array:
    accuracy, _ = top_k_accuracy(
        lambda users: jnp.broadcast_to(scores, (len(users), len(scores))), liked, k
    )
    return accuracy
