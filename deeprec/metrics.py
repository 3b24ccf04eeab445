"""Metrics of retrieval: pure functions on JAX arrays, used for every model and reference alike."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


def top_k_accuracy(
    scores: jax.Array, user_rows: ArrayLike, movie_ids: ArrayLike, weights: ArrayLike, k: int
) -> jax.Array:
    """The share of interactions whose movie is among the k highest scores of its user.

    The tutorial's metric: ``keras.metrics.SparseTopKCategoricalAccuracy(k, from_sorted_ids=True)``
    on the retrieved ids, weighted. Each user's top k is found once, however many rows the user has.
    Of equal scores the candidate with the lower id comes first.

    Args:
        scores: float ``[users, candidates]``; finite.
        user_rows: int ``[n]``, the row of ``scores`` that belongs to each interaction.
        movie_ids: int ``[n]``, the column of ``scores`` that belongs to each interaction.
        weights: float ``[n]``; 1 for a five-star rating, 0 for any other.
        k: at least 1; all candidates are retrieved where there are fewer than k.

    Returns:
        float ``[]`` in 0..1; 0 where every weight is 0.
    """
    _, top_ids = jax.lax.top_k(scores, min(k, scores.shape[-1]))
    hits = jnp.any(top_ids[user_rows] == jnp.expand_dims(movie_ids, -1), axis=-1)
    total = jnp.sum(weights)
    return jnp.sum(weights * hits) / jnp.where(total > 0, total, 1.0)
