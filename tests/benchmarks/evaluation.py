"""One evaluation of 20,000 rows, warm: ours against Keras's ``evaluate``."""

import time

import jax
import jax.numpy as jnp
import keras
import numpy as np

from deeprec.config import ModelConfig, TrainingConfig
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_tables import rows_of
from deeprec.training.forward import weights_of
from deeprec.training.validation import EvaluationRows, Evaluator
from tests.benchmarks.data import SEED, pipeline, tutorial_dataset, tutorial_splits
from tests.benchmarks.harness import Result, in_turn

AT_LEAST = 10.0


def measure(*, quick: bool) -> list[Result]:
    """The test rows of the tutorial."""
    dataset, rows = tutorial_dataset(), tutorial_splits().test
    model = RetrievalModel.for_tables(dataset.users, dataset.movies, ModelConfig(), seed=SEED)
    model.compile(keras.optimizers.Adagrad(), loss="mean_squared_error")
    evaluator = Evaluator(
        model,
        rows_of(dataset.users),
        rows_of(dataset.movies),
        EvaluationRows.of(rows, dataset.users, dataset.movies),
        split="test",
        config=TrainingConfig(),
    )
    # Copies, because Keras's evaluate reuses the memory of the model's own.
    weights = jax.tree.map(jnp.copy, weights_of(model))
    batches = pipeline(dataset.users, dataset.movies, rows, TrainingConfig().batch_size)
    accuracies: list[float] = []

    def ours() -> float:
        started = time.perf_counter()
        accuracies.append(evaluator.evaluate(weights, epoch=1).value)
        return time.perf_counter() - started

    def keras_evaluate() -> float:
        started = time.perf_counter()
        results = model.evaluate(batches, verbose=0, return_dict=True)
        accuracies.append(results["top_100_accuracy"])
        return time.perf_counter() - started

    in_turn(ours, keras_evaluate, 1)  # compiles
    pairs = in_turn(ours, keras_evaluate, 2 if quick else 20)
    np.testing.assert_allclose(accuracies[::2], accuracies[1::2], atol=1e-4)
    return [
        Result(
            what=f"one evaluation of {len(rows):,} rows",
            opponent="evaluate",
            at_least=AT_LEAST,
            **pairs.medians(),
        )
    ]
