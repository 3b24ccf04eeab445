"""A whole trial, the first of its architecture in its process: ours against Keras's ``fit``."""

import statistics
import tempfile
import time
from pathlib import Path

import keras

from deeprec.config import ModelConfig, TrainingConfig
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_data import DeviceData
from deeprec.training.programs import use_compilation_cache
from deeprec.training.train import train
from tests.benchmarks.data import SEED, pipeline, training_data
from tests.benchmarks.harness import Result, call, in_turn

AT_LEAST = {(32,): 6.0, (128, 64, 32): 4.0}


def measure(*, quick: bool) -> list[Result]:
    """A trial of each architecture, without and with a warm compilation cache."""
    epochs, repeats = (2, 1) if quick else (TrainingConfig().epochs, 5)
    return [
        result
        for layer_sizes, at_least in AT_LEAST.items()
        for result in _measure(layer_sizes, at_least, epochs, repeats)
    ]


def _measure(
    layer_sizes: tuple[int, ...], at_least: float, epochs: int, repeats: int
) -> list[Result]:
    arguments = {"layer_sizes": layer_sizes, "epochs": epochs}
    pairs = in_turn(
        lambda: float(call("trial:our_seconds", arguments)),
        lambda: float(call("trial:fit_seconds", arguments)),
        repeats,
    )
    what = f"a whole trial, {layer_sizes}, {epochs} epochs"
    cold = Result(
        what=f"{what}, nothing compiled before",
        opponent="fit",
        at_least=at_least,
        **pairs.medians(),
    )
    with tempfile.TemporaryDirectory() as compiled:
        with_cache = [
            float(call("trial:our_seconds", arguments | {"compiled": compiled}))
            for _ in range(1 + repeats)
        ]
    warm = Result(
        what=f"{what}, warm compilation cache",
        ours=statistics.median(with_cache[1:]),  # the first fills the cache
        against=cold.against,
        opponent=cold.opponent,
    )
    return [cold, warm]


def our_seconds(*, layer_sizes: list[int], epochs: int, compiled: str | None = None) -> float:
    """Building the model and ``train``; libraries and data are loaded before."""
    if compiled is not None:
        use_compilation_cache(Path(compiled))
    data = training_data(validation=True)
    on_device = DeviceData(data)
    started = time.perf_counter()
    model = RetrievalModel.for_tables(
        data.users, data.movies, _architecture(layer_sizes), seed=SEED
    )
    train(model, on_device, TrainingConfig(epochs=epochs))
    return time.perf_counter() - started


def fit_seconds(*, layer_sizes: list[int], epochs: int) -> float:
    """Building the model, ``compile`` and ``fit``; the pipelines over arrays are made before."""
    data, config = training_data(validation=True), TrainingConfig(epochs=epochs)
    assert data.validation is not None
    train_rows, validation_rows = (
        pipeline(data.users, data.movies, rows, config.batch_size)
        for rows in (data.train, data.validation)
    )
    started = time.perf_counter()
    model = RetrievalModel.for_tables(
        data.users, data.movies, _architecture(layer_sizes), seed=SEED
    )
    model.compile(keras.optimizers.Adagrad(config.learning_rate), loss="mean_squared_error")
    model.fit(
        train_rows,
        epochs=epochs,
        validation_data=validation_rows,
        validation_freq=config.validate_every,
        verbose=0,
    )
    return time.perf_counter() - started


def _architecture(layer_sizes: list[int]) -> ModelConfig:
    return ModelConfig(layer_sizes=tuple(layer_sizes))
