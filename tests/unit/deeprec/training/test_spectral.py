"""Embeddings in closed form, against the matrix that minimizes the errors, and beside training."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from deeprec.config import ModelConfig, TrainingConfig
from deeprec.data.dataset import TrainingData
from deeprec.data.history import table_for
from deeprec.evaluation.ranking import model_scores
from deeprec.model.retrieval import RetrievalModel
from deeprec.training import spectral
from deeprec.training.device_data import DeviceData
from deeprec.training.spectral import singular_vectors
from deeprec.training.train import train_new

LIKED = np.array([[1, 1, 0, 0, 1], [1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [1, 1, 0, 0, 1]], np.float32)
"""Of rank 3, as two users like the same."""

CLOSED = ModelConfig(
    layer_sizes=(4,),
    embedding_dimension=3,
    history=8,
    spectral_dimension=6,
)
CONFIG = TrainingConfig(
    loss="softmax",
    optimizer="adam",
    learning_rate=0.02,
    epochs=2,
    l2=0.01,  # would shrink what it should not
    spectral_penalty=5.0,
    spectral_weight=2.0,
)


def least_squares(liked: np.ndarray, penalty: float) -> np.ndarray:
    """``B``, which minimizes ``|X - X B|^2 + penalty * |B|^2``."""
    gram = liked.T @ liked
    return np.linalg.solve(gram + penalty * np.eye(len(gram)), gram)


@pytest.mark.parametrize("liked", [LIKED, LIKED.T], ids=["more items", "more users"])
@pytest.mark.parametrize("dense_below", [5000, 0], ids=["all pairs", "Lanczos"])
def test_singular_vectors_make_the_matrix_of_least_squares(
    liked: np.ndarray, dense_below: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectral, "DENSE_BELOW", dense_below)
    squares, vectors = singular_vectors(scipy.sparse.csr_array(liked), 4)
    made = (vectors * squares / (squares + 2.0)) @ vectors.T
    np.testing.assert_allclose(made, least_squares(liked, 2.0), atol=1e-5)


def test_where_hardly_anything_is_liked_the_vectors_are_zeros() -> None:
    squares, vectors = singular_vectors(scipy.sparse.csr_array(LIKED * [[1], [0], [0], [0]]), 2)
    assert not squares.any()
    assert vectors.shape == (5, 2)
    assert not vectors.any()


def model_of(data: TrainingData, model: ModelConfig) -> RetrievalModel:
    return train_new(model, DeviceData(data), CONFIG)[0]


@pytest.mark.parametrize(("history", "towers"), [(8, None), (0, None), (8, "sum")])
def test_a_score_is_what_is_trained_and_so_many_times_the_closed_form(
    training_data: TrainingData, history: int, towers: str | None
) -> None:
    config = replace(CLOSED, history=history, towers=towers)
    closed, trained = (
        model_of(training_data, m) for m in (config, replace(config, spectral_dimension=0))
    )
    users = table_for(closed.query_model.schema, training_data.users, training_data.train)
    rows = users.take(np.arange(1, users.rows, dtype=np.int32))
    queries = np.asarray(closed.query_model(rows))
    movies = np.asarray(closed.candidate_model(training_data.movies.columns))

    score = model_scores(closed, training_data.users, training_data.movies, training_data.train)
    np.testing.assert_allclose(score(rows["user_id"]), queries @ movies.T, atol=1e-4)

    # What is trained does not know that there is a closed form beside it.
    own = queries.shape[1] - 6
    np.testing.assert_array_equal(queries[:, :own], np.asarray(trained.query_model(rows)))

    liked = spectral.liked_matrix(training_data.train, len(movies)).toarray()
    known = np.zeros((users.rows, len(movies)), np.float32)
    known[: len(liked)] = liked
    if history:
        known[:] = 0
        np.put_along_axis(known[1:], rows["history"], 1, axis=1)
        known[:, 0] = 0
    root = np.sqrt(np.maximum(known.sum(1, keepdims=True), 1))
    liked = liked[liked.sum(1) > 0]
    values, vectors = np.linalg.eigh(liked.T @ liked)
    values, vectors = values[-6:], vectors[:, -6:]
    matrix = (vectors * values / (values + 5)) @ vectors.T
    expected = 2 * np.sqrt(liked.sum(1).mean()) * (known / root)[1:] @ matrix
    np.testing.assert_allclose(queries[:, own:] @ movies[:, own:].T, expected, atol=1e-4)
