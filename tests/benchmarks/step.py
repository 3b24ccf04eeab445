"""A training step: ours against the best we can write by hand in plain JAX."""

import time
from collections.abc import Mapping

import numpy as np

from deeprec.config import ModelConfig, TrainingConfig
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_data import DeviceData
from deeprec.training.train import train
from tests.benchmarks.data import SEED, training_data
from tests.benchmarks.handwritten import HandwrittenTrainer
from tests.benchmarks.harness import Pairs, Result

LAYERS = ((32,), (128, 64, 32))
AT_MOST = 1.15


def measure(*, quick: bool) -> list[Result]:
    """A step of each architecture."""
    return [_measure(layer_sizes, epochs=4 if quick else 60) for layer_sizes in LAYERS]


def _measure(layer_sizes: tuple[int, ...], *, epochs: int) -> Result:
    """Epochs of both in turn, after a first that compiles; without validation."""
    data = training_data(validation=False)
    config = TrainingConfig(epochs=epochs + 1)
    model = RetrievalModel.for_tables(
        data.users, data.movies, ModelConfig(layer_sizes=layer_sizes), seed=SEED
    )
    duel = _Duel(
        HandwrittenTrainer(
            data.users,
            data.movies,
            data.train,
            [np.asarray(variable.value) for variable in model.query_model.trainable_variables],
            [np.asarray(variable.value) for variable in model.candidate_model.trainable_variables],
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
        )
    )
    train(model, DeviceData(data), config, on_epoch=duel.on_epoch)
    # The same training, or the times mean nothing; rounding adds up over the epochs.
    np.testing.assert_allclose(duel.our_losses, duel.other_losses, rtol=2e-3)
    steps = -(-len(data.train) // config.batch_size)
    return Result(
        what=f"a training step, {layer_sizes}, batch {config.batch_size:,}",
        unit="ms",
        opponent="plain JAX by hand",
        at_most=AT_MOST,
        **duel.pairs.medians(1000 / steps),
    )


class _Duel:
    """Trains an epoch of the other within ``on_epoch`` of ours, and times both."""

    def __init__(self, other: HandwrittenTrainer) -> None:
        self.other = other
        self.our_losses: list[float] = []
        self.other_losses: list[float] = []
        self._our_seconds: list[float] = []
        self._other_seconds: list[float] = []
        self._started = time.perf_counter()

    def on_epoch(self, _epoch: int, metrics: Mapping[str, float]) -> None:
        arrived = time.perf_counter()
        self._our_seconds.append(arrived - self._started)
        self.our_losses.append(metrics["train_loss"])
        self.other_losses.append(self.other.run_epoch())
        self._started = time.perf_counter()
        self._other_seconds.append(self._started - arrived)

    @property
    def pairs(self) -> Pairs:
        """Seconds of every epoch but the first, which compiles."""
        return Pairs(self._our_seconds[1:], self._other_seconds[1:])
