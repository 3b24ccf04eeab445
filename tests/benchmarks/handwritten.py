"""The opponent of our trainer: the same training written by hand in plain JAX, as fast as we can.

No Keras and nothing of deeprec but its tables. What was tried, and kept or not:

- A tower runs once for each distinct user or movie of a batch, known beforehand.
- A table with a small vocabulary goes through its slice of the first layer, and the rows of the
  product are looked up. As a constant one-hot matrix times that product it took half as long
  again on a (32,) model. Only the genres, several a movie, are such a matrix.
- Titles are a flat list of tokens with a segment sum.
- Adagrad updates whole tables. Updating the rows a batch used, or all small weights as one vector,
  took longer on this small catalog.

One ``lax.scan`` runs an epoch; its state is donated.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from deeprec.data.tables import Feature, FeatureTable, Interactions

ACCUMULATOR_START = 0.1
EPSILON = 1e-7

Tree = Any
Weights = list[jax.Array]


class HandwrittenTrainer:
    """Trains two towers on fixed batches with the rating loss and Adagrad.

    Args:
        users: the user table.
        movies: the movie table.
        interactions: the rows to train on, cut into batches in their order.
        query_weights: of the query tower as Keras lists them: a table a feature, then kernel and
            bias of each dense layer.
        candidate_weights: the same of the candidate tower.
        batch_size: rows of a batch; the last may have fewer.
        learning_rate: of Adagrad.
    """

    def __init__(
        self,
        users: FeatureTable,
        movies: FeatureTable,
        interactions: Interactions,
        query_weights: Sequence[npt.NDArray[Any]],
        candidate_weights: Sequence[npt.NDArray[Any]],
        *,
        batch_size: int = 1000,
        learning_rate: float = 0.05,
    ) -> None:
        self.learning_rate = learning_rate
        self.features = (users.schema.features, movies.schema.features)
        starts = range(0, len(interactions), batch_size)
        batches = [interactions[start : start + batch_size] for start in starts]
        self.rows = np.array([len(batch) for batch in batches])
        self.batches = jax.device_put(
            {
                "sides": (
                    _side(users, [batch.user_id for batch in batches]),
                    _side(movies, [batch.movie_id for batch in batches]),
                ),
                "rating": _padded([batch.rating for batch in batches]),
                # The mean over the rows of a batch is a sum with weights, 0 for padding.
                "weight": _padded(
                    [np.full(len(batch), 1 / len(batch), np.float32) for batch in batches]
                ),
            }
        )
        weights = [[jnp.array(w) for w in tower] for tower in (query_weights, candidate_weights)]
        squares = jax.tree.map(lambda w: jnp.full_like(w, ACCUMULATOR_START), weights)
        self.state = (weights, squares)
        self._compiled = jax.jit(self._epoch, donate_argnums=0)

    def run_epoch(self) -> float:
        """Trains one epoch; returns the mean loss over its rows, each before its step."""
        self.state, losses = self._compiled(self.state, self.batches)
        return float(np.average(np.asarray(losses), weights=self.rows))

    def _epoch(self, state: Tree, batches: Tree) -> tuple[Tree, jax.Array]:
        return jax.lax.scan(self._step, state, batches)

    def _step(self, state: Tree, batch: Tree) -> tuple[Tree, jax.Array]:
        weights, squares = state
        loss, gradients = jax.value_and_grad(self._loss)(weights, batch)
        squares = jax.tree.map(lambda square, g: square + g * g, squares, gradients)
        weights = jax.tree.map(self._adagrad, weights, squares, gradients)
        return (weights, squares), loss

    def _adagrad(self, weight: jax.Array, square: jax.Array, gradient: jax.Array) -> jax.Array:
        return weight - self.learning_rate * gradient / jnp.sqrt(square + EPSILON)

    def _loss(self, weights: list[Weights], batch: Tree) -> jax.Array:
        queries, candidates = (
            _take(_embed(*tower), tower[2]["position"])
            for tower in zip(self.features, weights, batch["sides"], strict=True)
        )
        scores = (queries * candidates) @ jnp.ones(queries.shape[1])
        return jnp.sum(jnp.square(scores - batch["rating"]) * batch["weight"])


def _embed(features: Sequence[Feature], weights: Weights, side: Tree) -> jax.Array:
    """Embeddings ``[distinct rows, dimension]``."""
    dense = weights[len(features) :]
    hidden = dense[1]
    for feature, table, kernel in zip(
        features, weights, jnp.split(dense[0], len(features)), strict=False
    ):
        values = side["features"][feature.name]
        if feature.kind == "text":
            hidden += _mean_of_tokens(table, values) @ kernel
        elif feature.is_multivalued:
            hidden += values @ (table @ kernel)
        elif feature.kind == "id":
            hidden += _take(table, values) @ kernel
        else:
            hidden += _take(table @ kernel, values)
    for kernel, bias in zip(dense[2::2], dense[3::2], strict=True):
        hidden = jax.nn.relu(hidden) @ kernel + bias
    return hidden


def _mean_of_tokens(table: jax.Array, text: Tree) -> jax.Array:
    """``[distinct rows, dimension]``; what pads the flat list belongs to no row and is dropped."""
    total = jax.ops.segment_sum(
        _take(table, text["token"]), text["row"], len(text["scale"]), indices_are_sorted=True
    )
    return total * text["scale"][:, None]


def _take(table: jax.Array, ids: jax.Array) -> jax.Array:
    """Rows of the table; that ids are inside of it is promised, not checked."""
    return table.at[ids].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _side(table: FeatureTable, ids: Sequence[npt.NDArray[np.int32]]) -> Tree:
    """Everything constant about one side of all batches, stacked."""
    pairs = [np.unique(batch, return_inverse=True) for batch in ids]
    distinct = _padded([unique for unique, _ in pairs])
    return {
        "position": _padded([position.astype(np.int32) for _, position in pairs]),
        "features": {
            feature.name: _values(feature, table.columns[feature.name], distinct)
            for feature in table.schema.features
        },
    }


def _values(
    feature: Feature, column: npt.NDArray[np.int32], distinct: npt.NDArray[np.int32]
) -> Tree:
    """A feature of the distinct rows of every batch, in the form that :func:`_embed` wants."""
    if not feature.is_multivalued:
        return column[distinct]
    counts = np.maximum((column != 0).sum(axis=1), 1)
    if feature.kind == "text":
        present = [np.nonzero(column[rows]) for rows in distinct]
        tokens = [column[rows][where] for rows, where in zip(distinct, present, strict=True)]
        return {
            "token": _padded(tokens),
            "row": _padded([row.astype(np.int32) for row, _ in present], fill=distinct.shape[1]),
            "scale": (1 / counts[distinct]).astype(np.float32),
        }
    shares = np.zeros((len(column), feature.vocabulary_size), np.float32)
    row, at = np.nonzero(column)
    np.add.at(shares, (row, column[row, at]), 1 / counts[row])
    return shares[distinct]


def _padded(batches: Sequence[npt.NDArray[Any]], fill: int = 0) -> npt.NDArray[Any]:
    """The batches stacked, each filled up to the longest."""
    longest = max(map(len, batches))
    return np.stack([np.pad(b, (0, longest - len(b)), constant_values=fill) for b in batches])
