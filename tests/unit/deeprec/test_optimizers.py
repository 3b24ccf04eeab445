"""Adagrad equals Keras's, and updating some rows equals updating all."""

import jax.numpy as jnp
import keras
import numpy as np

from deeprec.optimizers import INITIAL_ACCUMULATOR, adagrad, adagrad_rows

RATE = jnp.float32(0.3)


def gradients(steps: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(steps, 6, 3)).astype(np.float32)


def test_equals_the_adagrad_of_keras() -> None:
    start = np.random.default_rng(2).normal(size=(6, 3)).astype(np.float32)
    variable = keras.Variable(start)
    optimizer = keras.optimizers.Adagrad(float(RATE))
    weight, accumulator = jnp.asarray(start), jnp.full(start.shape, INITIAL_ACCUMULATOR)
    for gradient in gradients(steps=5):
        optimizer.apply([jnp.asarray(gradient)], [variable])
        weight, accumulator = adagrad(weight, accumulator, jnp.asarray(gradient), RATE)
    np.testing.assert_allclose(weight, variable.value, rtol=1e-6)


def test_the_rows_of_a_batch_get_what_an_update_of_the_table_gives_them() -> None:
    ids = jnp.array([1, 2, 5, 0, 0])  # two of padding
    table, accumulator = jnp.ones((6, 3)), jnp.full((6, 3), INITIAL_ACCUMULATOR)
    whole = by_rows = (table, accumulator)
    for gradient in gradients(steps=5):
        of_rows = jnp.asarray(gradient)[:5].at[3:].set(0.0)
        dense = jnp.zeros((6, 3)).at[ids].add(of_rows)
        whole = adagrad(*whole, dense, RATE)
        by_rows = adagrad_rows(*by_rows, ids, of_rows, RATE)
    for one, other in zip(whole, by_rows, strict=True):
        np.testing.assert_array_equal(one, other)
