"""The tutorial, reproduced: Keras's own fit on the real MovieLens 100K."""

import keras
import numpy as np
import pytest

from deeprec.config import DataConfig, ModelConfig, TrainingConfig
from deeprec.data.dataset import Dataset, Splits, TrainingData, split
from deeprec.data.tables import Interactions
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_data import DeviceData
from deeprec.training.train import train
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


def test_train_and_fit_agree_on_the_real_data(dataset: Dataset, splits: Splits) -> None:
    config = TrainingConfig(learning_rate=0.05, epochs=2, validate_every=1)
    data = TrainingData(
        users=dataset.users,
        movies=dataset.movies,
        train=splits.train,
        validation=splits.validation,
    )
    first, second = (
        RetrievalModel.for_tables(
            dataset.users, dataset.movies, ModelConfig(layer_sizes=(64, 32)), seed=5
        )
        for _ in range(2)
    )
    ours: list[dict[str, float]] = []
    train(
        first, DeviceData(data), config, on_epoch=lambda _epoch, metrics: ours.append(dict(metrics))
    )

    second.compile(keras.optimizers.Adagrad(0.05), loss="mean_squared_error")
    history = second.fit(
        joined(dataset, splits.train),
        splits.train.rating,
        batch_size=1000,
        epochs=2,
        shuffle=False,
        verbose=0,
        validation_data=(joined(dataset, splits.validation), splits.validation.rating),
    ).history
    for name, theirs in {
        "train_loss": history["loss"],
        "val_loss": history["val_loss"],
    }.items():
        np.testing.assert_allclose([metrics[name] for metrics in ours], theirs, rtol=1e-4)
    # Two of 2,000 rows may fall on the other side of rank 100 for the last bit of a score.
    np.testing.assert_allclose(
        [metrics["val_top_100_accuracy"] for metrics in ours],
        history["val_top_100_accuracy"],
        atol=0.001,
    )


def test_an_untrained_model_is_no_better_than_chance(dataset: Dataset, splits: Splits) -> None:
    model = RetrievalModel.for_tables(dataset.users, dataset.movies, ModelConfig(), seed=1)
    evaluation = evaluate_model(
        model, dataset.users, dataset.movies, splits.test, split="test", config=TrainingConfig()
    )
    assert evaluation.top_100_accuracy < 0.1
