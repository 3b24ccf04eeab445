"""The rating loss, worked by hand."""

import jax.numpy as jnp
import pytest

from deeprec.losses import rating_loss


def test_the_mean_of_the_squared_errors() -> None:
    loss = rating_loss(jnp.array([1.0, 0.0]), jnp.array([0.5, 0.25]), 2)
    assert float(loss) == pytest.approx((0.25 + 0.0625) / 2)


def test_padding_counts_for_nothing() -> None:
    loss = rating_loss(jnp.array([1.0, 99.0]), jnp.array([0.5, 0.0]), 1)
    assert float(loss) == pytest.approx(0.25)
