"""Evaluation: loss and top-100 accuracy of interactions, over all candidates.

What depends on the user alone is computed once a user, not once a rating.
"""

from dataclasses import dataclass
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from deeprec.dataset import TrainingData
from deeprec.errors import NonFiniteError
from deeprec.losses import rating_loss
from deeprec.metrics import top_k_accuracy
from deeprec.retrieval import RetrievalModel
from deeprec.stateless import (
    Columns,
    Weights,
    embed_movies,
    embed_users,
    on_device,
    trainable_variables,
)
from deeprec.tables import FeatureTable, Interactions


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model reaches on some rows.

    Attributes:
        loss: the mean squared error over all rows.
        top_100_accuracy: the share of five-star rows retrieved, in 0..1.
    """

    loss: float
    top_100_accuracy: float

    def named(self, split: str) -> dict[str, float]:
        """The metrics under their names in tracking, such as ``val_loss`` for split ``val``."""
        return {
            f"{split}_loss": self.loss,
            f"{split}_top_100_accuracy": self.top_100_accuracy,
        }


class Evaluator:
    """Evaluates weights of one model on one set of rows, compiled at the first call.

    Args:
        model: the model whose weights will be given.
        users: its user table.
        movies: its movie table; every row is a candidate.
        interactions: the rows to evaluate on.
        split: what these rows are called in an error: ``val`` or ``test``.
    """

    def __init__(
        self,
        model: RetrievalModel,
        users: FeatureTable,
        movies: FeatureTable,
        interactions: Interactions,
        *,
        split: str,
    ) -> None:
        self.model = model
        self.split = split
        self.users = on_device(users)
        self.movies = on_device(movies)
        distinct_users, user_rows = np.unique(interactions.user_id, return_inverse=True)
        self.rows = jax.device_put(
            (
                distinct_users,
                user_rows.astype(np.int32),
                interactions.movie_id,
                interactions.rating,
                interactions.liked.astype(np.float32),
            )
        )
        self.compiled = jax.jit(self._evaluate)

    @classmethod
    def for_validation(cls, model: RetrievalModel, data: TrainingData) -> Self | None:
        """The evaluator of the validation rows; None where there are none."""
        if data.validation is None:
            return None
        return cls(model, data.users, data.movies, data.validation, split="val")

    def evaluate(self, weights: Weights, *, epoch: int) -> Evaluation:
        """Evaluates the weights.

        Raises:
            NonFiniteError: a score is NaN or infinite, for any user and candidate.
        """
        loss, accuracy, finite = self.compiled(weights, self.users, self.movies, self.rows)
        if not bool(finite):
            raise NonFiniteError(f"{self.split}_score", epoch)
        return Evaluation(loss=float(loss), top_100_accuracy=float(accuracy))

    def _evaluate(
        self, weights: Weights, users: Columns, movies: Columns, rows: tuple[jax.Array, ...]
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        distinct_users, user_rows, movie_ids, ratings, liked = rows
        candidates = jnp.arange(self.model.candidate_count)
        queries = embed_users(self.model, weights, users, distinct_users)
        scores = queries @ embed_movies(self.model, weights, movies, candidates).T
        loss = rating_loss(scores[user_rows, movie_ids], ratings, jnp.ones_like(ratings))
        accuracy = top_k_accuracy(scores, user_rows, movie_ids, liked, self.model.retrieval_k)
        return loss, accuracy, jnp.isfinite(scores).all()


def evaluate_model(
    model: RetrievalModel,
    users: FeatureTable,
    movies: FeatureTable,
    interactions: Interactions,
    *,
    split: str,
    epoch: int,
) -> Evaluation:
    """Evaluates the model's present weights once; ``epoch`` is named if a score is not finite."""
    evaluator = Evaluator(model, users, movies, interactions, split=split)
    return evaluator.evaluate([v.value for v in trainable_variables(model)], epoch=epoch)
