"""The retrieval model as a Keras user meets it: compile, fit, evaluate, predict, save."""

from pathlib import Path

import keras
import numpy as np
import pytest

from deeprec.config import ModelConfig
from deeprec.data.tables import FeatureTable, Interactions
from deeprec.model.retrieval import RetrievalModel

CONFIG = ModelConfig(layer_sizes=(8, 4), embedding_dimension=4, retrieval_k=10)


def joined(rows: Interactions, users: FeatureTable, movies: FeatureTable) -> dict[str, np.ndarray]:
    return {**users.take(rows.user_id), **movies.take(rows.movie_id)}


@pytest.fixture
def model(users: FeatureTable, movies: FeatureTable) -> RetrievalModel:
    model = RetrievalModel.for_tables(users, movies, CONFIG, seed=1)
    model.compile(optimizer=keras.optimizers.Adagrad(0.1), loss="mean_squared_error")
    return model


def test_fit_reports_the_loss_and_validates_by_top_k_accuracy(
    model: RetrievalModel,
    users: FeatureTable,
    movies: FeatureTable,
    train_rows: Interactions,
    validation_rows: Interactions,
) -> None:
    history = model.fit(
        joined(train_rows, users, movies),
        train_rows.rating,
        batch_size=50,
        epochs=4,
        shuffle=False,
        verbose=0,
        validation_data=(joined(validation_rows, users, movies), validation_rows.rating),
        validation_freq=2,
    ).history
    assert set(history) == {"loss", "val_loss", "val_top_10_accuracy"}
    assert history["loss"][-1] < history["loss"][0]
    assert len(history["val_loss"]) == 2


def test_evaluate_uses_candidates_embedded_with_the_present_weights(
    model: RetrievalModel, users: FeatureTable, movies: FeatureTable, validation_rows: Interactions
) -> None:
    x = joined(validation_rows, users, movies)
    other = RetrievalModel.for_tables(users, movies, CONFIG, seed=2)
    model.query_model.set_weights(other.query_model.get_weights())
    model.candidate_model.set_weights(other.candidate_model.get_weights())
    results = model.evaluate(x, validation_rows.rating, verbose=0, return_dict=True)

    scores = np.asarray(model.query_model(x)) @ np.asarray(model.candidate_model(movies.columns)).T
    top = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    hits = (top == validation_rows.movie_id[:, None]).any(axis=1)
    assert results["top_10_accuracy"] == pytest.approx(hits[validation_rows.liked].mean(), abs=1e-6)
    predicted = scores[np.arange(len(scores)), validation_rows.movie_id]
    assert results["loss"] == pytest.approx(
        np.mean((predicted - validation_rows.rating) ** 2), 1e-5
    )


def test_predict_needs_no_movie(model: RetrievalModel, users: FeatureTable) -> None:
    outputs = model.predict(dict(users.columns), verbose=0)
    assert set(outputs) == {"query_embeddings", "predictions"}
    assert outputs["predictions"].shape == (users.rows, 10)


def test_sample_weights_weigh_loss_and_accuracy(
    model: RetrievalModel, users: FeatureTable, movies: FeatureTable, validation_rows: Interactions
) -> None:
    half = validation_rows[:40]
    weights = np.zeros(len(validation_rows), np.float32)
    weights[:40] = 1.0
    expected = model.evaluate(
        joined(half, users, movies), half.rating, batch_size=40, verbose=0, return_dict=True
    )
    weighted = model.evaluate(
        joined(validation_rows, users, movies),
        validation_rows.rating,
        batch_size=len(weights),
        sample_weight=weights,
        verbose=0,
        return_dict=True,
    )
    assert weighted["top_10_accuracy"] == pytest.approx(expected["top_10_accuracy"])


def test_a_saved_model_knows_its_candidates(
    model: RetrievalModel,
    users: FeatureTable,
    movies: FeatureTable,
    train_rows: Interactions,
    tmp_path: Path,
) -> None:
    model.fit(joined(train_rows, users, movies), train_rows.rating, batch_size=230, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    before, after = (
        keras_model.predict(dict(users.columns), verbose=0) for keras_model in (model, loaded)
    )
    np.testing.assert_array_equal(before["predictions"], after["predictions"])


def test_candidates_are_as_many_as_when_built(model: RetrievalModel, users: FeatureTable) -> None:
    with pytest.raises(ValueError, match="must have 147 rows"):
        model.set_candidates(users)


def test_no_more_is_retrieved_than_there_is(users: FeatureTable, movies: FeatureTable) -> None:
    model = RetrievalModel.for_tables(users, movies, ModelConfig(retrieval_k=1000))
    assert model.predict(dict(users.columns), verbose=0)["predictions"].shape == (31, 147)
