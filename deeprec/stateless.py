"""The towers as pure functions of their weights, on tables that lie on the device."""

from collections.abc import Mapping
from typing import Any

import jax
from jax.typing import ArrayLike

from deeprec.retrieval import RetrievalModel
from deeprec.tables import FeatureTable

Weights = list[jax.Array]
"""The trainable variables of the query tower, then of the candidate tower."""

Columns = Mapping[str, jax.Array]
"""A feature table on the device: ``[rows]`` or ``[rows, length]`` by feature name."""


def trainable_variables(model: RetrievalModel) -> list[Any]:
    """The Keras variables behind :data:`Weights`, in the same order."""
    query, candidate = model.query_model, model.candidate_model
    return [*query.trainable_variables, *candidate.trainable_variables]


def on_device(table: FeatureTable) -> Columns:
    """Copies a table to the default device."""
    return {name: jax.device_put(column) for name, column in table.columns.items()}


def embed_users(
    model: RetrievalModel, weights: Weights, users: Columns, ids: ArrayLike
) -> jax.Array:
    """Query embeddings ``[ids, dimension]`` of the given rows of the user table."""
    query_weights = weights[: len(model.query_model.trainable_variables)]
    return _embed(model.query_model, query_weights, users, ids)


def embed_movies(
    model: RetrievalModel, weights: Weights, movies: Columns, ids: ArrayLike
) -> jax.Array:
    """Candidate embeddings ``[ids, dimension]`` of the given rows of the movie table."""
    candidate_weights = weights[len(model.query_model.trainable_variables) :]
    return _embed(model.candidate_model, candidate_weights, movies, ids)


def _embed(tower: Any, weights: Weights, table: Columns, ids: ArrayLike) -> jax.Array:
    features = {name: column[ids] for name, column in table.items()}
    embeddings, _ = tower.stateless_call(weights, [], features)
    return embeddings
