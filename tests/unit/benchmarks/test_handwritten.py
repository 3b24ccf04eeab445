"""The hand-written trainer: the same training as Keras's fit, or its times mean nothing."""

import keras
import numpy as np
import pytest

from deeprec.config import ModelConfig
from deeprec.data.dataset import TrainingData
from deeprec.data.tables import Feature, FeatureSchema, FeatureTable
from deeprec.model.retrieval import RetrievalModel
from tests.benchmarks.handwritten import HandwrittenTrainer

LEARNING_RATE = 0.1
BATCH_SIZE = 50  # of 230 rows: the last batch is not full
EPOCHS = 6


def losses_of_fit(data: TrainingData, model: RetrievalModel) -> list[float]:
    model.compile(keras.optimizers.Adagrad(LEARNING_RATE), loss="mean_squared_error")
    rows = data.train
    history = model.fit(
        {**data.users.take(rows.user_id), **data.movies.take(rows.movie_id)},
        rows.rating,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
    ).history
    return list(history["loss"])


def losses_by_hand(data: TrainingData, model: RetrievalModel) -> list[float]:
    """Trained from the model's present weights, which stay as they are."""
    query, candidate = (
        [np.asarray(variable.value) for variable in tower.trainable_variables]
        for tower in (model.query_model, model.candidate_model)
    )
    trainer = HandwrittenTrainer(
        data.users,
        data.movies,
        data.train,
        query,
        candidate,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
    )
    return [trainer.run_epoch() for _ in range(EPOCHS)]


@pytest.mark.parametrize("layer_sizes", [(4,), (8, 4), (8, 8, 4)])
def test_it_has_the_losses_of_fit(
    training_data: TrainingData, layer_sizes: tuple[int, ...]
) -> None:
    config = ModelConfig(layer_sizes=layer_sizes, embedding_dimension=4, retrieval_k=10)
    model = RetrievalModel.for_tables(training_data.users, training_data.movies, config, seed=1)
    by_hand = losses_by_hand(training_data, model)
    np.testing.assert_allclose(by_hand, losses_of_fit(training_data, model), rtol=1e-5)


def test_a_side_may_have_nothing_but_ids(training_data: TrainingData) -> None:
    rows = training_data.users.rows
    schema = FeatureSchema((Feature(name="user_id", kind="id", vocabulary_size=rows),))
    users = FeatureTable(schema, {"user_id": np.arange(rows, dtype=np.int32)})
    data = TrainingData(
        users=users, movies=training_data.movies, train=training_data.train, validation=None
    )
    config = ModelConfig(layer_sizes=(8, 4), embedding_dimension=4, retrieval_k=10)
    model = RetrievalModel.for_tables(users, data.movies, config, seed=2)
    by_hand = losses_by_hand(data, model)
    np.testing.assert_allclose(by_hand, losses_of_fit(data, model), rtol=1e-5)
