"""Training: Keras's stateless API, compiled by JAX, a whole epoch a call.

:func:`train` is the same mathematics as ``RetrievalModel.fit`` on the same batches, several times
faster: the tables and batches live on the device, a ``lax.scan`` runs an epoch without returning
to Python, and each tower sees each distinct user and movie of a batch once.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import keras

from deeprec.batches import Batches, batched
from deeprec.config import TrainingConfig
from deeprec.dataset import TrainingData
from deeprec.errors import NonFiniteError
from deeprec.evaluation import Evaluator
from deeprec.losses import rating_loss
from deeprec.retrieval import RetrievalModel
from deeprec.stateless import (
    Columns,
    Weights,
    embed_movies,
    embed_users,
    on_device,
    trainable_variables,
)

OnEpoch = Callable[[int, Mapping[str, float]], None]
"""The one seam between training and whoever watches it: called as ``on_epoch(epoch, metrics)``.

``epoch`` counts from 1. ``metrics`` holds ``train_loss`` and, on validated epochs, ``val_loss`` and
``val_top_100_accuracy``. What it raises ends the training and reaches the caller of :func:`train`.
"""

OBJECTIVE_METRIC = "val_top_100_accuracy"


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training reached.

    Attributes:
        epochs: how many epochs were trained.
        best_epoch: the validated epoch with the highest top-100 accuracy, the earliest of equals;
            without validation rows the last epoch.
        best_accuracy: that accuracy in 0..1; None without validation rows.
    """

    epochs: int
    best_epoch: int
    best_accuracy: float | None


class TrainingState(NamedTuple):
    """All that changes in a training.

    Attributes:
        weights: the trainable variables of the query tower, then of the candidate tower.
        optimizer: the variables of the optimizer, the learning rate among them.
    """

    weights: Weights
    optimizer: list[jax.Array]


def train(
    model: RetrievalModel,
    data: TrainingData,
    config: TrainingConfig,
    *,
    on_epoch: OnEpoch = lambda _epoch, _metrics: None,
) -> TrainingResult:
    """Trains the model in place and leaves it with the weights of its best epoch.

    Args:
        model: built for the tables of ``data``.
        data: the rows to train on, and those to validate on, if any.
        config: how.
        on_epoch: called after every epoch.

    Returns:
        What was reached.

    Raises:
        NonFiniteError: a loss or a validation score is NaN or infinite; the model keeps the
            weights it had before.
    """
    trainer = _Trainer(model, data, config)
    evaluator = Evaluator.for_validation(model, data)
    state = trainer.initial_state()
    best_weights, best_epoch, best_accuracy = None, 0, -math.inf
    for epoch in range(1, config.epochs + 1):
        state, metrics = trainer.run_epoch(state, epoch)
        if evaluator is not None and config.validates_after(epoch):
            metrics |= evaluator.evaluate(state.weights, epoch=epoch).named("val")
            if metrics[OBJECTIVE_METRIC] > best_accuracy:
                best_epoch, best_accuracy = epoch, metrics[OBJECTIVE_METRIC]
                # A copy, because the next epoch is compiled to reuse the memory of its input.
                best_weights = [jnp.copy(weight) for weight in state.weights]
        on_epoch(epoch, metrics)
    trainer.assign(state.weights if best_weights is None else best_weights)
    return TrainingResult(
        epochs=config.epochs,
        best_epoch=best_epoch or config.epochs,
        best_accuracy=best_accuracy if best_epoch else None,
    )


class _Trainer:
    """The compiled epoch of one model on one set of rows."""

    def __init__(self, model: RetrievalModel, data: TrainingData, config: TrainingConfig) -> None:
        self.model = model
        self.optimizer = keras.optimizers.Adagrad(config.learning_rate)
        self.optimizer.build(trainable_variables(model))
        self.users = on_device(data.users)
        self.movies = on_device(data.movies)
        self.batches = jax.device_put(batched(data.train, config.batch_size))
        self.compiled_epoch = jax.jit(self._epoch, donate_argnums=0)

    def initial_state(self) -> TrainingState:
        """The model's present weights and a fresh optimizer, copied: epochs reuse their memory."""
        return TrainingState(
            [jnp.copy(variable.value) for variable in trainable_variables(self.model)],
            [jnp.copy(variable.value) for variable in self.optimizer.variables],
        )

    def run_epoch(self, state: TrainingState, epoch: int) -> tuple[TrainingState, dict[str, float]]:
        """Trains one epoch; ``train_loss`` is the mean over its rows, each before its step."""
        state, losses = self.compiled_epoch(state, self.users, self.movies, self.batches)
        finite = jnp.isfinite(losses)
        if not bool(finite.all()):
            raise NonFiniteError("train_loss", epoch, int(jnp.argmin(finite)) + 1)
        rows = self.batches.weights.sum(axis=-1)
        return state, {"train_loss": float(losses @ rows / rows.sum())}

    def assign(self, weights: Weights) -> None:
        """Gives the weights to the model."""
        for variable, weight in zip(trainable_variables(self.model), weights, strict=True):
            variable.assign(weight)

    def _epoch(
        self, state: TrainingState, users: Columns, movies: Columns, batches: Batches
    ) -> tuple[TrainingState, jax.Array]:
        """Scans all batches; returns the new state and the loss of every step, ``[steps]``."""

        def step(state: TrainingState, batch: Batches) -> tuple[TrainingState, jax.Array]:
            loss, gradients = jax.value_and_grad(self._loss)(state.weights, users, movies, batch)
            weights, optimizer = self.optimizer.stateless_apply(
                state.optimizer, gradients, state.weights
            )
            return TrainingState(weights, optimizer), loss

        return jax.lax.scan(step, state, batches)

    def _loss(self, weights: Weights, users: Columns, movies: Columns, batch: Batches) -> jax.Array:
        queries = embed_users(self.model, weights, users, batch.users)
        candidates = embed_movies(self.model, weights, movies, batch.movies)
        scores = jnp.sum(queries[batch.user_rows] * candidates[batch.movie_rows], axis=-1)
        return rating_loss(scores, batch.ratings, batch.weights)
