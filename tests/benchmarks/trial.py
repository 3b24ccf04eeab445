"""A whole trial, the first of its architecture in its process: ours against Keras's ``fit``."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import keras

from deeprec.config import ModelConfig, TrainingConfig
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_data import DeviceData
from deeprec.training.programs import use_compilation_cache
from deeprec.training.train import train
from tests.benchmarks.data import SEED, pipeline, training_data
from tests.benchmarks.fresh import call
from tests.benchmarks.measuring import in_turn
from tests.benchmarks.results import Quantity, Result

AT_LEAST = {(32,): 6.0, (128, 64, 32): 4.0}


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """A trial of each architecture, without and with a warm compilation cache."""
    epochs, repeats = (2, 1) if quick else (TrainingConfig().epochs, 5)
    results = []
    for layer_sizes, at_least in AT_LEAST.items():
        with tempfile.TemporaryDirectory() as compiled:
            results += _measure(layer_sizes, at_least, epochs, repeats, compiled)
    return [result.to_json() for result in results]


def _measure(
    layer_sizes: tuple[int, ...], at_least: float, epochs: int, repeats: int, compiled: str
) -> list[Result]:
    arguments = {"layer_sizes": layer_sizes, "epochs": epochs}
    pairs = in_turn(
        lambda: float(call("trial:our_seconds", arguments)),
        lambda: float(call("trial:fit_seconds", arguments)),
        repeats,
    )
    with_cache = [
        float(call("trial:our_seconds", arguments | {"compiled": compiled}))
        for _ in range(1 + repeats)
    ]
    warm = statistics.median(with_cache[1:])  # the first fills the cache
    what = f"a whole trial, {layer_sizes}, {epochs} epochs"
    return [
        Result.times_faster(
            f"{what}, nothing compiled before",
            pairs.our_median("s"),
            pairs.other_median("s"),
            at_least=at_least,
            opponent="fit",
            note=pairs.spread,
        ),
        Result.times_faster(
            f"{what}, warm compilation cache",
            Quantity(value=warm, unit="s"),
            pairs.other_median("s"),
            at_least=None,
            opponent="fit",
        ),
    ]


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
