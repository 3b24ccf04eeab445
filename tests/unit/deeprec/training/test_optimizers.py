"""The optimizers equal Keras's, and updating some rows equals updating all."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from deeprec.config import OptimizerName
from deeprec.training.optimizers import OPTIMIZERS, Slots, update_rows

RATE = jnp.float32(0.3)


def gradients(steps: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(steps, 6, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "in_keras"), [("adagrad", keras.optimizers.Adagrad), ("adam", keras.optimizers.Adam)]
)
def test_equals_the_optimizer_of_keras(name: OptimizerName, in_keras: Callable[..., Any]) -> None:
    start = np.random.default_rng(2).normal(size=(6, 3)).astype(np.float32)
    variable = keras.Variable(start)
    other, ours = in_keras(float(RATE)), OPTIMIZERS[name]
    weight = jnp.asarray(start)
    slots = tuple(jnp.full(start.shape, value) for value in ours.initial)
    for number, gradient in enumerate(gradients(steps=5), start=1):
        other.apply([jnp.asarray(gradient)], [variable])
        weight, slots = ours.update(weight, slots, jnp.asarray(gradient), RATE, jnp.int32(number))
    np.testing.assert_allclose(weight, variable.value, atol=1e-5)


@pytest.mark.parametrize("name", ["adagrad", "adam"])
def test_says_whether_a_gradient_of_zero_changes_anything(name: OptimizerName) -> None:
    optimizer = OPTIMIZERS[name]
    weight = jnp.ones((2, 2))
    slots = tuple(jnp.full(weight.shape, value) for value in optimizer.initial)
    weight, slots = optimizer.update(weight, slots, jnp.ones((2, 2)), RATE, jnp.int32(1))
    after, _ = optimizer.update(weight, slots, jnp.zeros((2, 2)), RATE, jnp.int32(2))
    assert bool((after == weight).all()) == optimizer.zero_changes_nothing


def test_the_rows_of_a_batch_get_what_an_update_of_the_table_gives_them() -> None:
    adagrad = OPTIMIZERS["adagrad"]
    ids = jnp.array([1, 2, 5, 0, 0])  # two of padding
    table = jnp.ones((6, 3))
    start: tuple[jax.Array, Slots] = (table, (jnp.full((6, 3), adagrad.initial[0]),))
    whole = by_rows = start
    for number, gradient in enumerate(gradients(steps=5), start=1):
        of_rows = jnp.asarray(gradient)[:5].at[3:].set(0.0)
        dense = jnp.zeros((6, 3)).at[ids].add(of_rows)
        whole = adagrad.update(*whole, dense, RATE, jnp.int32(number))
        by_rows = update_rows(adagrad.update, *by_rows, ids, of_rows, RATE, jnp.int32(number))
    np.testing.assert_array_equal(whole[0], by_rows[0])
    np.testing.assert_array_equal(whole[1][0], by_rows[1][0])
