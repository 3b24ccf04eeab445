"""Training: whole epochs as compiled programs, on tables and batches that lie on the device.

:func:`train` is the same mathematics as ``RetrievalModel.fit`` on the same batches, many times
faster: a ``lax.scan`` runs an epoch without returning to Python, each tower sees each distinct
user and movie of a batch once, and the program is traced once for an architecture, as learning
rate, seed and number of epochs are no part of it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from deeprec.config import Metric, ModelConfig, TrainingConfig, loss_part
from deeprec.data.history import history_of
from deeprec.errors import DivergedError, NonFiniteError
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.batches import Batches
from deeprec.training.device_data import DeviceData
from deeprec.training.epoch import (
    EpochPlan,
    Knobs,
    TowerPlan,
    TrainingState,
    ranking_loss,
    run_epoch,
)
from deeprec.training.forward import Weights, assign_weights, programs_of, weights_of
from deeprec.training.optimizers import OPTIMIZERS, Optimizer
from deeprec.training.programs import compiled
from deeprec.training.progress import NO_CHECKPOINTS, Checkpoints, Progress
from deeprec.training.sampling import DrawPlan, SampledBatches
from deeprec.training.spectral import set_spectral
from deeprec.training.validation import Evaluator, ListEvaluator

OnEpoch = Callable[[int, Mapping[str, float]], None]
"""The one seam between training and what watches it: called as ``on_epoch(epoch, metrics)``.

``epoch`` counts from 1. ``metrics`` holds ``train_loss`` and, on validated epochs, ``val_loss`` and
the metrics of the configuration, such as ``val_top_100_accuracy``. What it raises ends the training
and reaches the caller of :func:`train`.
"""

EXPLODED = 100.0
"""A loss above so many times that of scoring everything 0 is no loss of a model that learns.

On MovieLens the first epoch of a healthy training stays below 1 times that, and of a diverging one
was above 1e11 times."""


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training reached.

    The best epoch is the validated one with the highest objective, the earliest of equals; without
    validation rows the last, and its ``best_accuracy`` is None.
    """

    epochs: int  # that were trained
    best_epoch: int
    best_accuracy: float | None


def train(
    model: RetrievalModel,
    data: DeviceData,
    config: TrainingConfig,
    *,
    on_epoch: OnEpoch = lambda _epoch, _metrics: None,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
) -> TrainingResult:
    """Trains the model in place and leaves it with the weights of its best epoch.

    Args:
        model: built for the tables of ``data``.
        data: the rows to train on, and those to validate on, if any.
        config: how.
        on_epoch: called after every epoch.
        checkpoints: keeps how far the training is, and says where it begins.

    Raises:
        DivergedError: the training diverged; the model keeps the weights it had before.
            ``on_epoch`` was given the loss of that epoch where it is finite.
    """
    set_spectral(model, data, config)
    trainer = _Trainer(model, data, config)
    config = replace(config, metrics=metrics_of(config, model.retrieval_k))
    evaluators = _evaluators(model, data, config)
    objective = f"val_{config.metrics[0].key}"
    watch = _DivergenceWatch.of(model, data, config)
    progress = checkpoints.resumed(Progress.start(trainer.state))
    trainer.state = progress.state
    while progress.epoch < config.epochs and progress.no_better != config.patience:
        epoch = progress.epoch + 1
        metrics = trainer.train_epoch(epoch)
        if config.validates_after(epoch) and not watch.exploded(metrics):
            for each in evaluators:
                metrics |= each.evaluate(trainer.state.results, epoch=epoch).named("val")
        progress = progress.after(trainer.state, metrics["train_loss"], metrics.get(objective))
        if diverged := watch.look(epoch, metrics, progress.first_loss):
            on_epoch(epoch, {"train_loss": metrics["train_loss"]})
            raise DivergedError(diverged)
        checkpoints.keep(progress)
        on_epoch(epoch, metrics)
    assign_weights(model, progress.results)
    return TrainingResult(
        epochs=progress.epoch,
        best_epoch=progress.best_epoch or progress.epoch,
        best_accuracy=progress.best_value if progress.best_epoch else None,
    )


def _evaluators(
    model: RetrievalModel, data: DeviceData, config: TrainingConfig
) -> list[Evaluator | ListEvaluator]:
    """What measures the metrics of a training; nothing where there are no validation rows."""
    rows = data.validation
    if rows is None:
        return []
    tables = (*data.tables(programs_of(model)), rows)
    found: list[Evaluator | ListEvaluator] = [
        Evaluator(model, *tables, split="val", config=config, k=metric.k)
        for metric in config.metrics
        if metric.name == "top_accuracy"
    ]
    lists = tuple(metric for metric in config.metrics if metric.name != "top_accuracy")
    if lists:
        of_lists = replace(config, metrics=lists)
        found.append(ListEvaluator(model, *tables, data.asked, split="val", config=of_lists))
    return found


def evaluated(model: RetrievalModel, data: DeviceData, config: TrainingConfig) -> dict[str, float]:
    """The validation metrics of the weights that a training of ``config`` left, once.

    Raises:
        NonFiniteError: an embedding or a score is NaN or infinite.
    """
    config = replace(config, metrics=metrics_of(config, model.retrieval_k))
    metrics: dict[str, float] = {}
    for each in _evaluators(model, data, config):
        metrics |= each.evaluate(weights_of(model), epoch=config.epochs).named("val")
    return metrics


def train_new(
    model: ModelConfig,
    data: DeviceData,
    config: TrainingConfig,
    *,
    on_epoch: OnEpoch = lambda _epoch, _metrics: None,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
) -> tuple[RetrievalModel, TrainingResult]:
    """Builds a model for the tables of ``data`` from the seed of ``config``, and trains it.

    Raises:
        DivergedError: the training diverged, see :func:`train`.
    """
    tables = data.source
    built = RetrievalModel.for_tables(tables.users, tables.movies, model, seed=config.seed)
    return built, train(built, data, config, on_epoch=on_epoch, checkpoints=checkpoints)


def tutorial_metric(k: int) -> Metric:
    """What the tutorial judges a model by that retrieves so many candidates."""
    return Metric("top_accuracy", k)


def metrics_of(config: TrainingConfig, k: int) -> tuple[Metric, ...]:
    """What a training measures; the tutorial's metric where its configuration names none."""
    return config.metrics or (tutorial_metric(k),)


def chance_accuracy(k: int, candidates: int) -> float:
    """The top-k accuracy of candidates in random order, in 0..1; row 0 is no candidate."""
    return min(k / candidates, 1.0)


@dataclass(frozen=True)
class _DivergenceWatch:
    """Recognizes a training that diverges, by the metrics of its epochs.

    ``limit`` is the highest loss of a healthy training, ``chance`` the accuracy of a random order.
    """

    limit: float
    chance: float
    objective: str = "val_top_100_accuracy"

    @classmethod
    def of(cls, model: RetrievalModel, data: DeviceData, config: TrainingConfig) -> Self:
        """The watch of a training that has not begun; the weights are the initial ones."""
        candidates = model.candidate_count - data.source.reserved
        if config.loss == "rating":
            constant = data.mean_squared_rating
        else:
            towers = (model.query_model, model.candidate_model)
            trained = [w.value for tower in towers for w in tower.trainable_variables]
            penalty = sum(np.sum(np.square(weight)) for weight in trained)
            of_zeros = math.log(model.candidate_count)
            if loss_part(config.loss):
                of_zeros = _own_loss_of_zeros(model, data, config)
            constant = of_zeros + config.l2 * float(penalty)
        objective = metrics_of(config, model.retrieval_k)[0]
        chance = -math.inf if objective.part else 0.0
        if objective.name in ("top_accuracy", "recall"):
            chance = chance_accuracy(objective.k, candidates)
        return cls(EXPLODED * constant, chance, objective=f"val_{objective.key}")

    def exploded(self, metrics: Mapping[str, float]) -> bool:
        """Whether the loss is far above that of scoring everything 0."""
        return metrics["train_loss"] > self.limit

    def look(self, epoch: int, metrics: Mapping[str, float], first_loss: float) -> str | None:
        """Why the training diverged in this epoch; None where it did not.

        ``first_loss`` is that of the first epoch.
        """
        loss, accuracy = metrics["train_loss"], metrics.get(self.objective)
        if self.exploded(metrics):
            return (
                f"train_loss is {loss:.3g} at epoch {epoch}, more than {EXPLODED:g} times that of "
                f"scoring everything 0 ({self.limit / EXPLODED:.3g})"
            )
        if accuracy is not None and accuracy <= self.chance < 1 and loss > first_loss:
            return (
                f"{self.objective} is {accuracy:.4f} at epoch {epoch}, no better than chance "
                f"({self.chance:.4f}), and train_loss has risen from {first_loss:.3g} to "
                f"{loss:.3g}"
            )
        return None


def _own_loss_of_zeros(model: RetrievalModel, data: DeviceData, config: TrainingConfig) -> float:
    """The size of a part's loss where the model scores all of the first batch 0; above 0.

    Infinite where that is 0, as then nothing is known of how large the loss may be.
    """
    first = jax.tree.map(lambda each: each[0], data.batches(config))
    scores = jnp.zeros((first.users.ids.shape[-1], model.candidate_count))
    return abs(float(ranking_loss(config.loss)(scores, first, _knobs(config, data)))) or math.inf


class _Trainer:
    """Trains one model on one set of rows, epoch by epoch; ``state`` is after the last one."""

    def __init__(self, model: RetrievalModel, data: DeviceData, config: TrainingConfig) -> None:
        has_unknown = data.source.reserved > 1
        if config.id_dropout and not has_unknown and not history_of(model.query_model.schema):
            raise ValueError(
                "id_dropout must be 0 where the data has no row for unknown users and items, as "
                "MovieLens has none, and no history tells users apart, but got "
                f"{config.id_dropout}"
            )
        batches, draws = _batches(data, config)
        optimizer = OPTIMIZERS[config.optimizer]
        averages = config.averaging > 0
        towers = _tower_plans(model, batches, draws, optimizer)
        weights = weights_of(model)
        trained = Weights(*(t.program.trained(w) for t, w in zip(towers, weights, strict=True)))
        self.state = TrainingState.start(weights, optimizer, averages=averages, trained=trained)
        self.sizes = np.asarray(batches.sizes)
        self.constants = (_knobs(config, data), data.tables(programs_of(model)), batches)
        may_draw_unknown = draws is not None and data.source.reserved > 1
        self.plan = EpochPlan(
            config.loss,
            config.optimizer,
            towers,
            averages,
            drops_ids=config.id_dropout > 0 or may_draw_unknown,
            has_unknown=has_unknown,
            hides_shown=not data.source.repeats,
            draws=draws,
        )
        self.program = compiled(run_epoch, self.plan, self.state, *self.constants)

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Trains one epoch; ``train_loss`` is the mean over its rows, each before its step."""
        self.state, losses = self.program(self.state, *self.constants)
        by_step = np.asarray(losses, np.float64)
        finite = np.isfinite(by_step)
        if not finite.all():
            raise NonFiniteError("train_loss", epoch, int(finite.argmin()) + 1)
        return {"train_loss": float(np.average(by_step, weights=self.sizes))}


def _batches(
    data: DeviceData, config: TrainingConfig
) -> tuple[Batches | SampledBatches, DrawPlan | None]:
    """What an epoch trains on, and how much a step draws, if anything."""
    if config.loss != "sampled_softmax":
        return data.batches(config), None
    source = data.source
    users, reserved = min(config.batch_size, source.users.rows), source.reserved
    plan = DrawPlan.of(config.negatives, users, source.movies.rows, reserved)
    return data.sampled_batches(plan, config), plan


def _tower_plans(
    model: RetrievalModel,
    batches: Batches | SampledBatches,
    draws: DrawPlan | None,
    optimizer: Optimizer,
) -> tuple[TowerPlan, TowerPlan]:
    """The plans that are cheapest for the rows that a step uses of both tables."""
    if isinstance(batches, Batches):
        ids = (batches.users.ids, batches.movies.ids)
        queries, candidates = (None if each is None else each.shape[-1] for each in ids)
    else:
        assert draws is not None
        queries, candidates = batches.by_step.ids.shape[-1], draws.candidates
    return (
        TowerPlan.of(model.query_model, queries, optimizer),
        TowerPlan.of(model.candidate_model, candidates, optimizer),
    )


def _knobs(config: TrainingConfig, data: DeviceData) -> Knobs:
    log_probabilities = None
    if config.loss == "in_batch_softmax":
        log_probabilities = jnp.asarray(data.log_probabilities(config.batch_size))
    return Knobs(
        rate=jnp.float32(config.learning_rate),
        temperature=jnp.float32(config.temperature),
        dropout=jnp.float32(config.dropout),
        l2=jnp.float32(config.l2),
        rating_power=jnp.float32(config.rating_power),
        averaging=jnp.float32(config.averaging),
        id_dropout=jnp.float32(config.id_dropout),
        history_dropout=jnp.float32(config.history_dropout),
        seed=jnp.uint32(config.seed),
        log_probabilities=log_probabilities,
        own={name: jnp.float32(value) for name, value in config.own},
    )
