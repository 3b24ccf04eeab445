"""Losses of a batch of interactions: pure functions on JAX arrays."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


def rating_loss(scores: jax.Array, ratings: ArrayLike, count: ArrayLike) -> jax.Array:
    """The mean squared error between score and rating: the tutorial's loss.

    ``sum((score - rating)^2) / count`` over the first ``count`` rows; what follows is padding.

    Args:
        scores: float ``[batch]``.
        ratings: float ``[batch]``, in 0..1.
        count: int ``[]``, at least 1.

    Returns:
        float ``[]``.
    """
    squared = jnp.square(scores - jnp.asarray(ratings))
    return jnp.sum(jnp.where(jnp.arange(len(scores)) < count, squared, 0.0)) / count
