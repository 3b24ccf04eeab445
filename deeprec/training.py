"""Training: whole epochs as compiled programs, on tables and batches that lie on the device.

:func:`train` is the same mathematics as ``RetrievalModel.fit`` on the same batches, many times
faster: a ``lax.scan`` runs an epoch without returning to Python, each tower sees each distinct
user and movie of a batch once, and the program is traced once for an architecture, as learning
rate, seed and number of epochs are no part of it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from deeprec.config import TrainingConfig
from deeprec.device_data import DeviceData
from deeprec.epoch import TowerPlan, TrainingState, run_epoch
from deeprec.errors import NonFiniteError
from deeprec.evaluation import Evaluator
from deeprec.forward import assign_weights, weights_of
from deeprec.programs import compiled
from deeprec.retrieval import RetrievalModel

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


def train(
    model: RetrievalModel,
    data: DeviceData,
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
    evaluator = _validator(model, data)
    best_weights, best_epoch, best_accuracy = None, 0, -math.inf
    for epoch in range(1, config.epochs + 1):
        metrics = trainer.train_epoch(epoch)
        if evaluator is not None and config.validates_after(epoch):
            metrics |= evaluator.evaluate(trainer.state.weights, epoch=epoch).named("val")
            if metrics[OBJECTIVE_METRIC] > best_accuracy:
                best_epoch, best_accuracy = epoch, metrics[OBJECTIVE_METRIC]
                best_weights = trainer.state.weights
        on_epoch(epoch, metrics)
    assign_weights(model, trainer.state.weights if best_weights is None else best_weights)
    return TrainingResult(
        epochs=config.epochs,
        best_epoch=best_epoch or config.epochs,
        best_accuracy=best_accuracy if best_epoch else None,
    )


def _validator(model: RetrievalModel, data: DeviceData) -> Evaluator | None:
    if data.validation is None:
        return None
    return Evaluator(model, data.users, data.movies, data.validation, split="val")


class _Trainer:
    """Trains one model on one set of rows, epoch by epoch.

    Attributes:
        state: after the last epoch; at first the model's weights and a fresh optimizer.
    """

    def __init__(self, model: RetrievalModel, data: DeviceData, config: TrainingConfig) -> None:
        batches = data.batches(config.batch_size)
        self.state = TrainingState.start(weights_of(model))
        self.plan = (
            TowerPlan.for_side(model.query_model.schema, batches.users),
            TowerPlan.for_side(model.candidate_model.schema, batches.movies),
        )
        self.sizes = np.asarray(batches.sizes)
        self.constants = (np.float32(config.learning_rate), (data.users, data.movies), batches)
        self.program = compiled(run_epoch, self.plan, self.state, *self.constants)

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Trains one epoch; ``train_loss`` is the mean over its rows, each before its step."""
        self.state, losses = self.program(self.state, *self.constants)
        by_step = np.asarray(losses, np.float64)
        finite = np.isfinite(by_step)
        if not finite.all():
            raise NonFiniteError("train_loss", epoch, int(finite.argmin()) + 1)
        return {"train_loss": float(np.average(by_step, weights=self.sizes))}
