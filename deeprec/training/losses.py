"""Losses of a batch: pure functions on JAX arrays.

The ranking losses see a matrix of scores, a row a user and a column a candidate, and the batch's
interactions as positions in it. An interaction weighs ``rating ** power``: what is liked more
counts more, and one star counts for nothing.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

NEVER = -1e30
"""A score whose share in a softmax is exactly zero, and whose gradient is a number."""


def rating_loss(scores: jax.Array, ratings: ArrayLike, count: ArrayLike) -> jax.Array:
    """The mean squared error between score and rating: the tutorial's loss.

    ``sum((score - rating)^2) / count`` over the first ``count`` rows; what follows is padding.

    Args:
        scores: float ``[batch]``.
        ratings: float ``[batch]``, in 0..1.
        count: int ``[]``, at least 1.
    """
    squared = jnp.square(scores - jnp.asarray(ratings))
    return jnp.sum(jnp.where(jnp.arange(len(scores)) < count, squared, 0.0)) / count


def rating_weights(ratings: jax.Array, power: ArrayLike) -> jax.Array:
    """``rating ** power``, and zero for a rating of zero, as padding has: float ``[batch]``."""
    return jnp.where(ratings > 0, jnp.maximum(ratings, 1e-6) ** power, 0.0)


def softmax_loss(
    scores: jax.Array, users: jax.Array, movies: jax.Array, weights: jax.Array
) -> jax.Array:
    """The cross-entropy of a softmax over all candidates, grouped by user.

    ``-sum(w * log softmax(scores)[user, movie]) / sum(w)``: the multinomial likelihood of Mult-VAE
    (Liang, Krishnan, Hoffman and Jebara 2018). Grouped by user it needs one normalizer a user,
    where a softmax for each interaction would need one an interaction.

    Args:
        scores: float ``[users, candidates]``, divided by the temperature.
        users: int ``[batch]``, the row of each interaction.
        movies: int ``[batch]``, its column.
        weights: float ``[batch]``, not negative; 0 is padding.

    Returns:
        float ``[]``; 0 where all weights are 0.
    """
    normalizers = jax.nn.logsumexp(scores, axis=-1)
    return _weighted_mean(normalizers[users] - scores[users, movies], weights)


def in_batch_softmax_loss(
    scores: jax.Array,
    users: jax.Array,
    movies: jax.Array,
    weights: jax.Array,
    log_probabilities: jax.Array,
) -> jax.Array:
    """The cross-entropy of a softmax over the candidates that occur in the batch.

    Popular movies are in most batches, and would be pushed down for it: every score is reduced by
    the logarithm of the probability that its candidate occurs in a batch (Yi et al. 2019,
    "Sampling-bias-corrected neural modeling for large corpus item recommendations"). For one
    interaction, the other movies of its user in the batch are no candidates: they are hits by
    accident, not misses.

    Arguments as of :func:`softmax_loss`, of the distinct users and movies of the batch;
    ``log_probabilities`` are float ``[candidates]``, not above 0, and ``inf`` for padding.
    """
    corrected = jnp.where(jnp.isinf(log_probabilities), NEVER, scores - log_probabilities)
    hits = jnp.zeros(scores.shape, bool).at[users, movies].max(weights > 0)
    of_misses = jax.nn.logsumexp(jnp.where(hits, NEVER, corrected), axis=-1)
    own = corrected[users, movies]
    return _weighted_mean(jnp.logaddexp(own, of_misses[users]) - own, weights)


def sampled_softmax_loss(
    scores: jax.Array,
    users: jax.Array,
    movies: jax.Array,
    weights: jax.Array,
    log_counts: jax.Array,
) -> jax.Array:
    """An estimate of :func:`softmax_loss` from candidates that were drawn.

    A candidate that was drawn ``c`` times and expected ``e`` times counts ``c / e`` times in the
    normalizer, which then has the right expectation: the correction by ``log e`` of Bengio and
    Senecal (2008) and Yi et al. (2019). Other hits of a user are candidates, for in the likelihood
    that is estimated they are in the normalizer, too; an accidental hit is none here.

    Arguments as of :func:`softmax_loss`, of the drawn interactions and candidates; ``log_counts``
    are float ``[candidates]``, ``log(c / e)``, and :data:`NEVER` for padding.
    """
    normalizers = jax.nn.logsumexp(scores + log_counts, axis=-1)
    return _weighted_mean(normalizers[users] - scores[users, movies], weights)


def surprises(scores: jax.Array, movies: jax.Array) -> jax.Array:
    """``-log softmax(scores)[row, movie]`` of scores ``[rows, candidates]``: float ``[rows]``."""
    own = jnp.take_along_axis(scores, movies[:, None], axis=-1)[:, 0]
    return jax.nn.logsumexp(scores, axis=-1) - own


def _weighted_mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    """The mean; values of weight 0 may be anything finite."""
    return jnp.sum(weights * values) / jnp.maximum(jnp.sum(weights), 1e-9)
