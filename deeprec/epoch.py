"""One epoch as a pure function: the program that :func:`deeprec.training.train` compiles."""

from functools import partial
from typing import NamedTuple, Self

import jax
import numpy as np

from deeprec.batches import Batches, Side
from deeprec.device_tables import FeatureRows, take_rows
from deeprec.forward import TowerWeights, Weights, dot_products, embed
from deeprec.losses import rating_loss
from deeprec.optimizers import INITIAL_ACCUMULATOR, adagrad, adagrad_rows
from deeprec.tables import FeatureSchema

Schemas = tuple[FeatureSchema, FeatureSchema]
"""The features of a user and of a movie: all that an epoch's program knows beside shapes."""


class TrainingState(NamedTuple):
    """All that changes in a training.

    Attributes:
        weights: of both towers.
        accumulators: Adagrad's, one a weight.
    """

    weights: Weights
    accumulators: Weights

    @classmethod
    def start(cls, weights: Weights) -> Self:
        """The given weights and a fresh optimizer."""

        def accumulator(weight: jax.Array) -> np.ndarray:
            return np.full(weight.shape, INITIAL_ACCUMULATOR, np.float32)

        return cls(weights, jax.device_put(jax.tree.map(accumulator, weights)))


def run_epoch(
    schemas: Schemas,
    state: TrainingState,
    rate: jax.Array,
    tables: tuple[FeatureRows, FeatureRows],
    batches: Batches,
) -> tuple[TrainingState, jax.Array]:
    """Trains on all batches, one after another.

    Args:
        schemas: of the query tower and the candidate tower.
        state: before the epoch.
        rate: learning rate, float ``[]``.
        tables: all users and all movies.
        batches: of the epoch.

    Returns:
        The state after the epoch, and the loss of every batch before its step, ``[steps]``.
    """

    def step(state: TrainingState, batch: Batches) -> tuple[TrainingState, jax.Array]:
        sides = (batch.users, batch.movies)
        used = Weights(*map(_used, schemas, state.weights, sides))
        loss, gradients = jax.value_and_grad(_loss)(used, schemas, tables, batch)
        update = partial(_updated, rate)
        towers = map(update, schemas, state.weights, state.accumulators, gradients, sides)
        weights, accumulators = zip(*towers, strict=True)
        return TrainingState(Weights(*weights), Weights(*accumulators)), loss

    return jax.lax.scan(step, state, batches)


def _id_position(schema: FeatureSchema) -> int:
    """Where the table of the id is among the weights of a tower."""
    return schema.features.index(schema.id_feature)


def _used(schema: FeatureSchema, weights: TowerWeights, side: Side) -> TowerWeights:
    """The weights that a step differentiates: of the id's table only the rows it uses."""
    used = list(weights)
    used[_id_position(schema)] = take_rows(used[_id_position(schema)], side.ids)
    return used


def _loss(
    used: Weights,
    schemas: Schemas,
    tables: tuple[FeatureRows, FeatureRows],
    batch: Batches,
) -> jax.Array:
    sides = (batch.users, batch.movies)
    queries, candidates = map(_embed_used, schemas, used, tables, sides)
    scores = dot_products(
        take_rows(queries, batch.users.positions), take_rows(candidates, batch.movies.positions)
    )
    return rating_loss(scores, batch.ratings, batch.sizes)


def _embed_used(
    schema: FeatureSchema, used: TowerWeights, table: FeatureRows, side: Side
) -> jax.Array:
    # The embeddings of the ids are looked up already, see _used.
    return embed(schema, used, table.take(side.ids, side.lists)._replace(ids=None))


def _updated(
    rate: jax.Array,
    schema: FeatureSchema,
    weights: TowerWeights,
    accumulators: TowerWeights,
    gradients: TowerWeights,
    side: Side,
) -> tuple[TowerWeights, TowerWeights]:
    """The weights and accumulators of a tower after a step."""
    pairs = []
    for position, of_weight in enumerate(zip(weights, accumulators, gradients, strict=True)):
        weight, accumulator, gradient = of_weight
        if position == _id_position(schema):
            pairs.append(adagrad_rows(weight, accumulator, side.ids, gradient, rate))
        else:
            pairs.append(adagrad(weight, accumulator, gradient, rate))
    new_weights, new_accumulators = zip(*pairs, strict=True)
    return list(new_weights), list(new_accumulators)
