"""Losses of a batch of interactions: pure functions on JAX arrays."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


def rating_loss(scores: ArrayLike, ratings: ArrayLike, weights: ArrayLike) -> jax.Array:
    """The mean squared error between score and rating: the tutorial's loss.

    ``sum(w * (score - rating)^2) / sum(w)``.

    Args:
        scores: float ``[batch]``.
        ratings: float ``[batch]``, in 0..1.
        weights: float ``[batch]``, 1 for a row and 0 for padding.

    Returns:
        float ``[]``; 0 where every weight is 0.
    """
    squared = jnp.square(jnp.subtract(scores, ratings))
    return jnp.sum(weights * squared) / jnp.maximum(jnp.sum(weights), 1.0)
