"""Adagrad (Duchi, Hazan and Singer 2011), as Keras has it, for whole tables and for some rows.

``accumulator += gradient ** 2``, then ``weight -= rate * gradient / sqrt(accumulator + epsilon)``.
A gradient of zero changes neither, so a table of which a batch used a few rows needs an update
of those rows alone: the result is exactly the same, and a step's cost does not grow with the
catalogue. Keras's optimizers know no such update.
"""

import jax
import jax.numpy as jnp

from deeprec.device_tables import put_rows, take_rows

INITIAL_ACCUMULATOR = 0.1
EPSILON = 1e-7


def adagrad(
    weight: jax.Array, accumulator: jax.Array, gradient: jax.Array, rate: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Updates a whole weight; all arguments but the rate have its shape.

    Returns:
        The new weight and accumulator.
    """
    accumulator = accumulator + jnp.square(gradient)
    return weight - rate * gradient / jnp.sqrt(accumulator + EPSILON), accumulator


def adagrad_rows(
    table: jax.Array, accumulator: jax.Array, ids: jax.Array, gradient: jax.Array, rate: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Updates some rows of a table.

    Args:
        table: float ``[rows, dimension]``.
        accumulator: of the shape of the table.
        ids: int ``[n]``, the rows; one that stands there twice must have a gradient of zero in
            all but one place, as padding has.
        gradient: float ``[n, dimension]``, of those rows.
        rate: the learning rate.

    Returns:
        The new table and accumulator.
    """
    rows, accumulated = adagrad(take_rows(table, ids), take_rows(accumulator, ids), gradient, rate)
    return put_rows(table, ids, rows), put_rows(accumulator, ids, accumulated)
