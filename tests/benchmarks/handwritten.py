"""The opponent of our trainer: the same training written by hand in plain JAX, as fast as we can.

No Keras and nothing of deeprec but its tables. What makes it fast, the largest effect first:

- A tower runs once for each distinct user or movie of a batch, known beforehand.
- The features with a small vocabulary are a constant matrix ``[distinct rows, values]`` (one-hot,
  or the mean of several) times their tables, which go through their slice of the first layer
  before. There is nothing to gather, and the gradient is a matrix product as well.
- Adagrad touches the rows a batch used, no others: their gradient is zero. The new rows are *set*:
  the write then depends on the read, and XLA keeps the table in place. With *add* it copies the
  table in every step.
- Titles are a flat list of tokens with a segment sum, over the distinct tokens of the batch.
- The dot product of a score is a product with ones: XLA's sum over rows of 32 is slow.
- All small weights are one vector, so Adagrad on them is one operation.

One ``lax.scan`` runs an epoch; its state is donated.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.flatten_util import ravel_pytree

from deeprec.tables import Feature, FeatureTable, Interactions

ACCUMULATOR_START = 0.1
EPSILON = 1e-7

Arrays = Mapping[str, npt.NDArray[Any]]
Tree = Any
Rows = list[jax.Array]


class _State(NamedTuple):
    """All that changes: weights and Adagrad's accumulators, in the same shapes."""

    tables: list[Rows]
    table_squares: list[Rows]
    small: jax.Array
    small_squares: jax.Array


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
        batches = [
            interactions[start : start + batch_size]
            for start in range(0, len(interactions), batch_size)
        ]
        self.sides = (
            _Side(users, query_weights, [batch.user_id for batch in batches]),
            _Side(movies, candidate_weights, [batch.movie_id for batch in batches]),
        )
        self.rows = jnp.array([len(batch) for batch in batches], jnp.float32)
        # The mean over the rows of a batch is a sum with weights, 0 for what pads the last one.
        weights = _padded([np.full(len(batch), 1 / len(batch)) for batch in batches], batch_size)
        ratings = _padded([batch.rating for batch in batches], batch_size)
        self.batches = jax.device_put(
            {
                "sides": tuple(side.batches for side in self.sides),
                "rating": ratings.astype(np.float32),
                "weight": weights.astype(np.float32),
            }
        )
        small, self._unravel = ravel_pytree(tuple(side.small for side in self.sides))
        tables = [[jnp.array(table) for table in side.tables] for side in self.sides]
        self.state = _State(tables, _started(tables), small, _started(small))
        self._compiled = jax.jit(self._epoch, donate_argnums=0)

    def run_epoch(self) -> float:
        """Trains one epoch; returns the mean loss over its rows, each before its step."""
        self.state, losses = self._compiled(self.state, self.batches)
        return float(losses @ self.rows / self.rows.sum())

    def _epoch(self, state: _State, batches: Tree) -> tuple[_State, jax.Array]:
        return jax.lax.scan(self._step, state, batches)

    def _step(self, state: _State, batch: Tree) -> tuple[_State, jax.Array]:
        ids = [side["tables"] for side in batch["sides"]]
        rows = [_each(_take, *pair) for pair in zip(state.tables, ids, strict=True)]
        squares = [_each(_take, *pair) for pair in zip(state.table_squares, ids, strict=True)]
        loss, (row_gradients, small_gradient) = jax.value_and_grad(self._loss, argnums=(0, 1))(
            rows, state.small, batch
        )
        squares = jax.tree.map(lambda square, g: square + g * g, squares, row_gradients)
        rows = jax.tree.map(self._adagrad, rows, squares, row_gradients)
        small_squares = state.small_squares + small_gradient * small_gradient
        return (
            _State(
                [_each(_put, *three) for three in zip(state.tables, ids, rows, strict=True)],
                [
                    _each(_put, *three)
                    for three in zip(state.table_squares, ids, squares, strict=True)
                ],
                self._adagrad(state.small, small_squares, small_gradient),
                small_squares,
            ),
            loss,
        )

    def _adagrad(self, weight: jax.Array, square: jax.Array, gradient: jax.Array) -> jax.Array:
        return weight - self.learning_rate * gradient * jax.lax.rsqrt(square + EPSILON)

    def _loss(self, rows: list[Rows], small: jax.Array, batch: Tree) -> jax.Array:
        queries, candidates = (
            side.embed(*of_side)
            for side, of_side in zip(
                self.sides,
                zip(rows, self._unravel(small), batch["sides"], strict=True),
                strict=True,
            )
        )
        products = _take(queries, batch["sides"][0]["position"]) * _take(
            candidates, batch["sides"][1]["position"]
        )
        scores = products @ jnp.ones(products.shape[1])
        return jnp.sum(jnp.square(scores - batch["rating"]) * batch["weight"])


class _Side:
    """One tower: its weights, its batches, and how they become embeddings.

    ``tables`` holds the large tables (ids, then texts), whose rows are read and written a batch;
    ``small`` everything else.
    """

    def __init__(
        self,
        table: FeatureTable,
        weights: Sequence[npt.NDArray[Any]],
        ids: Sequence[npt.NDArray[np.int32]],
    ) -> None:
        features = table.schema.features
        embeddings = dict(zip(features, weights, strict=False))
        dense = [np.asarray(weight) for weight in weights[len(features) :]]
        dimension = embeddings[features[0]].shape[1]
        kernels = {
            feature: dense[0][start : start + dimension]
            for feature, start in zip(features, range(0, len(dense[0]), dimension), strict=True)
        }
        large = [table.schema.id_feature, *(f for f in features if f.kind == "text")]
        others = [feature for feature in features if feature not in large]
        self.dimension = dimension
        self.tables = [np.asarray(embeddings[feature]) for feature in large]
        self.small = {
            "kernels": [kernels[feature] for feature in large],
            "bias": dense[1],
            "dense": dense[2:],
            "block": _block([np.asarray(embeddings[feature]) for feature in others], dimension),
            "block_kernel": np.concatenate([kernels[f] for f in others]) if others else None,
        }
        self.block_mask = _block(
            [np.ones_like(np.asarray(embeddings[feature])) for feature in others], dimension
        )
        self.batches = _side_batches(table, large[1:], others, ids)

    def embed(self, rows: Rows, small: Tree, batch: Tree) -> jax.Array:
        """Embeddings ``[distinct rows, dimension]`` from the rows of the large tables."""
        hidden = rows[0] @ small["kernels"][0]
        for tokens, kernel, text in zip(
            rows[1:], small["kernels"][1:], batch["texts"], strict=True
        ):
            hidden += _mean_of_tokens(tokens, text) @ kernel
        # The last column of the constant matrix is one: the bias.
        table = small["bias"][None]
        if small["block"] is not None:
            block = (small["block"] * self.block_mask) @ small["block_kernel"]
            table = jnp.concatenate([block, table])
        hidden += batch["hot"] @ table
        for kernel, bias in zip(small["dense"][::2], small["dense"][1::2], strict=True):
            hidden = jax.nn.relu(hidden) @ kernel + bias
        return hidden


def _mean_of_tokens(tokens: jax.Array, text: Tree) -> jax.Array:
    """``[distinct rows, dimension]``; what pads the flat list is summed into a row to drop."""
    flat = _take(tokens, text["position"])
    rows = len(text["scale"])
    zeros = jnp.zeros((rows + 1, tokens.shape[1]))
    total = zeros.at[text["segment"]].add(flat, mode="promise_in_bounds", indices_are_sorted=True)
    return total[:rows] * text["scale"][:, None]


def _side_batches(
    table: FeatureTable,
    texts: Sequence[Feature],
    others: Sequence[Feature],
    ids: Sequence[npt.NDArray[np.int32]],
) -> Tree:
    """Everything constant about one side of all batches, stacked."""
    distinct, positions = _distinct(ids)
    flat_texts = [_flat_text(table.columns[feature.name], distinct) for feature in texts]
    hot = np.concatenate(
        [*(_hot(table, feature) for feature in others), np.ones((table.rows, 1), np.float32)],
        axis=1,
    )
    return {
        "position": positions,
        "tables": [distinct, *(tokens for tokens, _ in flat_texts)],
        "texts": [flat for _, flat in flat_texts],
        "hot": hot[distinct],
    }


def _flat_text(
    column: npt.NDArray[np.int32], distinct: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], Arrays]:
    """The distinct tokens of each batch, and its flat list of them with their segments."""
    rows = distinct.shape[1]
    present = [column[ids] != 0 for ids in distinct]
    texts = zip(distinct, present, strict=True)
    tokens, positions = _distinct([column[ids][mask] for ids, mask in texts])
    segments = [np.nonzero(mask)[0] for mask in present]
    lengths = np.maximum([mask.sum(axis=1) for mask in present], 1)
    flat = {
        "position": positions,
        "segment": _padded(segments, positions.shape[1], rows).astype(np.int32),
        "scale": (1.0 / lengths).astype(np.float32),
    }
    return tokens, flat


def _hot(table: FeatureTable, feature: Feature) -> npt.NDArray[np.float32]:
    """``[rows, vocabulary]``: one-hot, or the mean of a row's values (0 is padding) if several."""
    column = table.columns[feature.name]
    values = column.reshape(table.rows, -1)
    present = values != 0 if feature.is_multivalued else np.ones_like(values, bool)
    hot = np.zeros((table.rows, feature.vocabulary_size), np.float32)
    np.add.at(hot, (np.nonzero(present)[0], values[present]), 1)
    return cast("npt.NDArray[np.float32]", hot / np.maximum(hot.sum(axis=1, keepdims=True), 1))


def _block(tables: Sequence[npt.NDArray[Any]], dimension: int) -> npt.NDArray[np.float32] | None:
    """The tables on the diagonal of one matrix, so that all go through the first layer at once."""
    if not tables:
        return None
    block = np.zeros((sum(map(len, tables)), dimension * len(tables)), np.float32)
    row = 0
    for place, table in enumerate(tables):
        block[row : row + len(table), place * dimension : (place + 1) * dimension] = table
        row += len(table)
    return block


def _distinct(
    ids: Sequence[npt.NDArray[np.int32]],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """For each batch its distinct ids and where each row's id is among them; padded with 0."""
    pairs = [np.unique(batch, return_inverse=True) for batch in ids]
    distinct = [unique for unique, _ in pairs]
    positions = [position for _, position in pairs]
    return (
        _padded(distinct, max(map(len, distinct))).astype(np.int32),
        _padded(positions, max(map(len, positions))).astype(np.int32),
    )


def _padded(batches: Sequence[npt.NDArray[Any]], width: int, fill: int = 0) -> npt.NDArray[Any]:
    """The batches stacked, each filled up to the width."""
    return np.stack(
        [np.pad(batch, (0, width - len(batch)), constant_values=fill) for batch in batches]
    )


def _started(weights: Tree) -> Tree:
    return jax.tree.map(lambda weight: jnp.full_like(weight, ACCUMULATOR_START), weights)


def _each(function: Any, *lists: Sequence[Any]) -> list[Any]:
    return [function(*arguments) for arguments in zip(*lists, strict=True)]


def _take(table: jax.Array, ids: jax.Array) -> jax.Array:
    """Rows of the table; that ids are inside of it is promised, not checked."""
    return table.at[ids].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _put(table: jax.Array, ids: jax.Array, rows: jax.Array) -> jax.Array:
    """The table with these rows; padding repeats row 0, which no gradient ever changes."""
    return table.at[ids].set(rows, mode="promise_in_bounds", wrap_negative_indices=False)
