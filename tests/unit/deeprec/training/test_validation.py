"""Evaluation by distinct user equals evaluation row by row."""

import numpy as np
import pytest

from deeprec.config import ModelConfig, TrainingConfig
from deeprec.data.tables import FeatureTable, Interactions
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.validation import evaluate_model


def test_equals_every_row_scored_by_itself(
    users: FeatureTable, movies: FeatureTable, validation_rows: Interactions
) -> None:
    config = ModelConfig(layer_sizes=(8,), embedding_dimension=4, retrieval_k=7)
    model = RetrievalModel.for_tables(users, movies, config, seed=1)
    evaluation = evaluate_model(
        model, users, movies, validation_rows, split="val", config=TrainingConfig()
    )

    queries = np.asarray(model.query_model(users.take(validation_rows.user_id)))
    scores = queries @ np.asarray(model.candidate_model(movies.columns)).T
    targets = scores[np.arange(len(scores)), validation_rows.movie_id]
    ranks = (scores > targets[:, None]).sum(axis=1)
    assert evaluation.top_100_accuracy == pytest.approx((ranks < 7)[validation_rows.liked].mean())
    assert evaluation.loss == pytest.approx(np.mean((targets - validation_rows.rating) ** 2), 1e-5)
    assert evaluation.named("test") == {
        "test_loss": evaluation.loss,
        "test_top_100_accuracy": evaluation.top_100_accuracy,
    }
