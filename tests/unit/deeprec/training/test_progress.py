"""Trainings that go on from where they were interrupted: bit by bit those that were not."""

from collections.abc import Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deeprec.config import LossName, ModelConfig, OptimizerName, TrainingConfig
from deeprec.data.dataset import TrainingData
from deeprec.errors import DivergedError
from deeprec.training.device_data import DeviceData
from deeprec.training.epoch import TrainingState
from deeprec.training.forward import Weights, weights_of
from deeprec.training.optimizers import OPTIMIZERS
from deeprec.training.progress import Arrays, Checkpoints, Progress
from deeprec.training.train import TrainingResult, train_new
from tests.unit.deeprec.training import test_own

pytestmark = pytest.mark.skipif(
    jax.default_backend() != "cpu", reason="sums on a GPU depend on the order of its threads"
)

MODEL = ModelConfig(layer_sizes=(8, 4), embedding_dimension=4, retrieval_k=10)
Epochs = list[tuple[int, Mapping[str, float]]]


class InMemory(Checkpoints):
    """Keeps the arrays after every epoch; begins after one of them."""

    def __init__(self, begin: Arrays | None = None) -> None:
        self.begin = begin
        self.kept: list[Arrays] = []

    def resumed(self, start: Progress) -> Progress:
        return start if self.begin is None else start.restored(self.begin)

    def keep(self, progress: Progress) -> None:
        self.kept.append([array.copy() for array in progress.arrays()])


class Trained:
    """A training, from its start or from arrays."""

    def __init__(
        self,
        data: TrainingData,
        config: TrainingConfig,
        begin: Arrays | None = None,
        *,
        of: ModelConfig = MODEL,
    ) -> None:
        self.epochs = Epochs()
        self.checkpoints = InMemory(begin)
        model, self.result = train_new(
            of,
            DeviceData(data),
            config,
            on_epoch=lambda *epoch: self.epochs.append(epoch),
            checkpoints=self.checkpoints,
        )
        self.weights = [np.asarray(weight) for weight in jax.tree.leaves(weights_of(model))]


def assert_goes_on(
    data: TrainingData,
    config: TrainingConfig,
    after: int | None = None,
    *,
    of: ModelConfig = MODEL,
) -> TrainingResult:
    """Whole or interrupted after any epoch, or that one, the training is the same."""
    whole = Trained(data, config, of=of)
    epochs = range(1, len(whole.epochs) + 1) if after is None else [after]
    for epoch in epochs:
        rest = Trained(data, config, whole.checkpoints.kept[epoch - 1], of=of)
        assert rest.epochs == whole.epochs[epoch:]
        assert rest.result == whole.result
        assert all(map(np.array_equal, rest.weights, whole.weights))
        for mine, other in zip(rest.checkpoints.kept, whole.checkpoints.kept[epoch:], strict=True):
            assert all(map(np.array_equal, mine, other))
    return whole.result


CONFIG = TrainingConfig(
    learning_rate=0.01, epochs=4, validate_every=2, batch_size=16, negatives=8, seed=5
)


@pytest.mark.parametrize(
    ("loss", "optimizer", "averaging", "dropout"),
    [
        ("rating", "adam", 0.7, 0.0),
        ("softmax", "adagrad", 0.7, 0.3),
        ("in_batch_softmax", "adam", 0.0, 0.3),
        ("sampled_softmax", "adagrad", 0.0, 0.3),
    ],
)
def test_every_loss_optimizer_and_average_goes_on(
    training_data: TrainingData,
    loss: LossName,
    optimizer: OptimizerName,
    averaging: float,
    dropout: float,
) -> None:
    config = replace(CONFIG, loss=loss, optimizer=optimizer, averaging=averaging, dropout=dropout)
    assert_goes_on(training_data, config, after=2)


def test_what_trains_some_ids_as_unknown_goes_on(training_data: TrainingData) -> None:
    config = replace(CONFIG, loss="sampled_softmax", id_dropout=0.3)
    assert_goes_on(replace(training_data, reserved=2), config, after=1)


def test_weights_that_are_not_trained_go_on(training_data: TrainingData) -> None:
    config = replace(CONFIG, loss="softmax", averaging=0.5)
    assert_goes_on(training_data, config, after=1, of=test_own.own(test_own.Moody))


def test_after_any_epoch_also_of_one_that_patience_ends(training_data: TrainingData) -> None:
    config = TrainingConfig(
        learning_rate=1.0, epochs=16, validate_every=2, batch_size=50, patience=2, seed=3
    )
    result = assert_goes_on(training_data, config)
    assert result.best_epoch < result.epochs < 16


def test_without_validation_rows_the_last_weights_count(training_data: TrainingData) -> None:
    config = TrainingConfig(epochs=3, batch_size=100)
    assert assert_goes_on(replace(training_data, validation=None), config).best_accuracy is None


def test_what_diverges_does_so_in_the_same_words(training_data: TrainingData) -> None:
    config = replace(
        CONFIG, loss="in_batch_softmax", optimizer="adam", dropout=0.3, learning_rate=0.1
    )

    def reason(begin: Arrays | None = None) -> tuple[str, InMemory]:
        checkpoints = InMemory(begin)
        with pytest.raises(DivergedError) as raised:
            train_new(MODEL, DeviceData(training_data), config, checkpoints=checkpoints)
        return str(raised.value), checkpoints

    whole, checkpoints = reason()
    assert "train_loss has risen from" in whole
    assert reason(checkpoints.kept[-1])[0] == whole


def test_arrays_of_another_training_are_refused() -> None:
    def progress(width: int, optimizer: OptimizerName, *, averages: bool = False) -> Progress:
        weights = Weights([jnp.ones((3, width))], [jnp.ones(width)])
        return Progress.start(
            TrainingState.start(weights, OPTIMIZERS[optimizer], averages=averages)
        )

    kept = progress(2, "adagrad").arrays()
    assert jax.tree.all(
        jax.tree.map(np.array_equal, progress(2, "adagrad").restored(kept), progress(2, "adagrad"))
    )
    others = (progress(4, "adagrad"), progress(2, "adam"), progress(2, "adagrad", averages=True))
    for other in others:
        with pytest.raises(ValueError, match="other shapes"):
            other.restored(kept)
