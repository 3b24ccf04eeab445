"""Adagrad and Adam as Keras has them, for whole tables and, where that is the same, for some rows.

Keras's optimizers know no update of some rows of a table. A gradient of zero changes nothing with
Adagrad, so a table of which a batch used a few rows needs an update of those rows alone: the
result is exactly the same, and a step's cost does not grow with the catalog. Adam's averages
move with every step, so it updates whole tables.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from deeprec.config import OptimizerName
from deeprec.training.device_tables import put_rows, take_rows

INITIAL_ACCUMULATOR = 0.1
EPSILON = 1e-7
MEAN_DECAY = 0.9
SQUARE_DECAY = 0.999

Slots = tuple[jax.Array, ...]
"""What an optimizer keeps of a weight, each of the weight's shape."""

Update = Callable[[jax.Array, Slots, jax.Array, jax.Array, jax.Array], tuple[jax.Array, Slots]]
"""``update(weight, slots, gradient, rate, step)``, all of the weight's shape but the learning
rate and the number of the step, from 1; returns the new weight and slots."""


class Optimizer(NamedTuple):
    """An update rule, the value that each slot starts with, and what a gradient of zero does."""

    update: Update
    initial: tuple[float, ...]
    zero_changes_nothing: bool


def adagrad(
    weight: jax.Array, slots: Slots, gradient: jax.Array, rate: jax.Array, step: jax.Array
) -> tuple[jax.Array, Slots]:
    """Adagrad (Duchi, Hazan and Singer 2011).

    ``accumulator += gradient ** 2``, ``weight -= rate * gradient / sqrt(accumulator + epsilon)``.
    """
    del step
    accumulator = slots[0] + jnp.square(gradient)
    return weight - rate * gradient / jnp.sqrt(accumulator + EPSILON), (accumulator,)


def adam(
    weight: jax.Array, slots: Slots, gradient: jax.Array, rate: jax.Array, step: jax.Array
) -> tuple[jax.Array, Slots]:
    """Adam (Kingma and Ba 2015), with epsilon where Keras has it.

    ``mean`` and ``square`` are decaying averages of gradient and squared gradient;
    ``weight -= rate * sqrt(1 - b2 ** step) / (1 - b1 ** step) * mean / (sqrt(square) + epsilon)``.
    """
    mean = slots[0] + (1 - MEAN_DECAY) * (gradient - slots[0])
    square = slots[1] + (1 - SQUARE_DECAY) * (jnp.square(gradient) - slots[1])
    corrected = rate * jnp.sqrt(1 - SQUARE_DECAY**step) / (1 - MEAN_DECAY**step)
    return weight - corrected * mean / (jnp.sqrt(square) + EPSILON), (mean, square)


OPTIMIZERS: Mapping[OptimizerName, Optimizer] = {
    "adagrad": Optimizer(adagrad, (INITIAL_ACCUMULATOR,), zero_changes_nothing=True),
    "adam": Optimizer(adam, (0.0, 0.0), zero_changes_nothing=False),
}


def update_rows(
    update: Update,
    table: jax.Array,
    slots: Slots,
    ids: jax.Array,
    gradient: jax.Array,
    rate: jax.Array,
    step: jax.Array,
) -> tuple[jax.Array, Slots]:
    """Updates the rows ``ids`` of a table, by a rule that a gradient of zero changes nothing with.

    An id that stands there twice must have a gradient of zero in all but one place, as padding has.
    """
    of_rows = tuple(take_rows(slot, ids) for slot in slots)
    rows, new = update(take_rows(table, ids), of_rows, gradient, rate, step)
    return put_rows(table, ids, rows), tuple(
        put_rows(slot, ids, row) for slot, row in zip(slots, new, strict=True)
    )
