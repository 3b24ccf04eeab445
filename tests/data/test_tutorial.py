"""The tutorial, reproduced: Keras's own fit on the real MovieLens 100K."""

import keras
import numpy as np
import pytest

from deeprec.config import DataConfig, ModelConfig, TrainingConfig
from deeprec.data.dataset import Dataset, Splits, split
from deeprec.data.tables import Interactions
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.validation import evaluate_model

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def splits(dataset: Dataset) -> Splits:
    return split(dataset, DataConfig())


def joined(dataset: Dataset, rows: Interactions) -> dict[str, np.ndarray]:
    return {**dataset.users.take(rows.user_id), **dataset.movies.take(rows.movie_id)}


@pytest.mark.parametrize(
    "layer_sizes",
    [
        (32,),
        pytest.param((64, 32), marks=pytest.mark.slow),
        pytest.param((128, 64, 32), marks=pytest.mark.slow),
    ],
)
def test_fit_reaches_the_accuracy_of_the_tutorial(
    dataset: Dataset, splits: Splits, layer_sizes: tuple[int, ...]
) -> None:
    rows = splits.before_test
    config = ModelConfig(layer_sizes=layer_sizes)
    model = RetrievalModel.for_tables(dataset.users, dataset.movies, config, seed=42)
    model.compile(keras.optimizers.Adagrad(0.05), loss=keras.losses.MeanSquaredError())
    model.fit(
        joined(dataset, rows), rows.rating, batch_size=1000, epochs=30, shuffle=False, verbose=0
    )
    results = model.evaluate(
        joined(dataset, splits.test),
        splits.test.rating,
        batch_size=1000,
        verbose=0,
        return_dict=True,
    )
    assert 0.29 <= results["top_100_accuracy"] <= 0.33
    assert results["loss"] == pytest.approx(0.0575, abs=0.0015)


def test_an_untrained_model_is_no_better_than_chance(dataset: Dataset, splits: Splits) -> None:
    model = RetrievalModel.for_tables(dataset.users, dataset.movies, ModelConfig(), seed=1)
    evaluation = evaluate_model(
        model, dataset.users, dataset.movies, splits.test, split="test", config=TrainingConfig()
    )
    assert evaluation.value < 0.1
