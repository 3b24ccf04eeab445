"""The towers as pure functions of their weights: what the Keras models compute, with less work.

A tower concatenates the embeddings of its features and multiplies by the kernel of the first dense
layer. That product is a sum over the features, each with its own rows of the kernel, so a
feature's whole vocabulary can be sent through the layer before its rows are looked up: 21
occupations instead of 500 users. Tests hold every tower equal to its Keras model.
"""

import json
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import keras

from deeprec.data.tables import Feature, FeatureSchema, FeatureTable
from deeprec.model.own import OwnTower
from deeprec.model.retrieval import RetrievalModel
from deeprec.model.towers import Tower, known_by
from deeprec.training.batches import UNKNOWN_ROW
from deeprec.training.device_tables import (
    SMALL_VOCABULARY,
    Columns,
    FeatureRows,
    Rows,
    ValueList,
    columns_of,
    is_list,
    is_share,
    rows_of,
    take_rows,
)

SMALLEST_SQUARES = 1e-24

HISTORIES_IN_A_BLOCK = 1024
"""The embeddings of all items of all histories are never there at once."""

TowerWeights = Sequence[jax.Array]
"""Of one tower: the embedding of each feature of its schema, then kernel and bias of each layer,
then the table in closed form, where there is one.

Of one's own tower: the trainable variables, then those that are not, such as running means."""


class Weights(NamedTuple):
    """The weights of both towers, each in the order of its Keras model."""

    query: TowerWeights
    candidate: TowerWeights


def variables_of(model: RetrievalModel) -> Weights:
    """The Keras variables whose values are the weights, in the same order."""
    towers = (model.query_model, model.candidate_model)
    return Weights(*([*t.trainable_variables, *t.non_trainable_variables] for t in towers))


def weights_of(model: RetrievalModel) -> Weights:
    """The present weights of a model.

    Raises:
        RuntimeError: they are no arrays of JAX, as Keras was started with another backend.
    """
    if (backend := keras.backend.backend()) != "jax":
        raise RuntimeError(f"training needs Keras on JAX but got {backend}; set KERAS_BACKEND=jax")
    return jax.tree.map(lambda variable: variable.value, variables_of(model))


def assign_weights(model: RetrievalModel, weights: Weights) -> None:
    """Gives the weights to the model."""
    jax.tree.map(lambda variable, weight: variable.assign(weight), variables_of(model), weights)


def dot_products(queries: jax.Array, candidates: jax.Array) -> jax.Array:
    """The score of each row, float ``[rows]``, from embeddings ``[rows, dimension]``.

    The sum is a product with ones: on a CPU XLA's sum over a short last axis is slower, which
    makes 4 % of a step of a (32,) model.
    """
    return (queries * candidates) @ jnp.ones(queries.shape[-1], queries.dtype)


class TowerShape(NamedTuple):
    """What decides a tower's function, beside the shapes of its weights."""

    schema: FeatureSchema
    normalize: bool
    is_spectral: bool = False  # whether embeddings in closed form are behind those that are trained

    @classmethod
    def of(cls, tower: Tower) -> Self:
        """The shape of a Keras model."""
        return cls(tower.schema, tower.normalize, tower.spectral is not None)

    def rows_of(self, table: FeatureTable) -> Rows:
        """All rows of a table as this program reads them, on the default device."""
        return rows_of(table)

    def trained(self, weights: TowerWeights) -> TowerWeights:
        """The weights that a step of the optimizer changes: all but those in closed form."""
        return weights[:-1] if self.is_spectral else weights

    def embed(self, weights: TowerWeights, rows: Rows) -> jax.Array:
        """The final embeddings of some rows, float ``[rows, dimension]``."""
        assert isinstance(rows, FeatureRows)
        trained = embed(self, self.trained(weights), rows)
        if not self.is_spectral:
            return trained
        feature = known_by(self.schema)
        if feature.kind == "history":
            closed = _pooled(weights[-1], rows.lists[feature.name])
        else:
            assert rows.ids is not None
            closed = take_rows(weights[-1], rows.ids)
        return jnp.concatenate([trained, closed], axis=-1)

    def train(
        self, weights: TowerWeights, rows: Rows, dropped: "DroppedIds | None"
    ) -> tuple[jax.Array, TowerWeights]:
        """The embeddings in a step, and what that leaves of the weights that are not trained."""
        assert isinstance(rows, FeatureRows)
        trained = self.trained(weights)
        return embed(self, trained, rows, dropped), weights[len(trained) :]


@dataclass(frozen=True)
class OwnProgram:
    """What a tower of one's own computes, with the interface of :class:`TowerShape`.

    Two towers that differ in their weights alone have equal programs.
    """

    about: str  # what the tower is made of but for its seed, as JSON
    schema: FeatureSchema
    trainable: int  # how many of the weights are trained; the others follow them
    tower: "weakref.ref[OwnTower]" = field(compare=False, repr=False)

    @classmethod
    def of(cls, tower: OwnTower) -> Self:
        """The program of a Keras model, which must be alive when it is traced."""
        about = {k: v for k, v in tower.get_config().items() if k not in ("name", "seed")}
        trainable = len(tower.trainable_variables)
        return cls(json.dumps(about), tower.schema, trainable, weakref.ref(tower))

    def rows_of(self, table: FeatureTable) -> Rows:
        """As of :class:`TowerShape`."""
        return columns_of(table)

    def trained(self, weights: TowerWeights) -> TowerWeights:
        """As of :class:`TowerShape`: not all."""
        return weights[: self.trainable]

    def embed(self, weights: TowerWeights, rows: Rows) -> jax.Array:
        """As of :class:`TowerShape`."""
        return self._called(weights, rows, None, training=False)[0]

    def train(
        self, weights: TowerWeights, rows: Rows, dropped: "DroppedIds | None"
    ) -> tuple[jax.Array, TowerWeights]:
        """As of :class:`TowerShape`."""
        return self._called(weights, rows, dropped, training=True)

    def _called(
        self, weights: TowerWeights, rows: Rows, dropped: "DroppedIds | None", *, training: bool
    ) -> tuple[jax.Array, TowerWeights]:
        tower = self.tower()
        assert tower is not None
        assert isinstance(rows, Columns)
        ids = rows.ids
        if dropped is not None:
            ids = jnp.where(dropped.mask, 0 if dropped.unknown is None else UNKNOWN_ROW, ids)
        features = {**rows.columns, self.schema.id_feature.name: ids}
        trained, others = weights[: self.trainable], weights[self.trainable :]
        found, after = tower.stateless_call(trained, others, features, training=training)
        return found, list(after)


TowerProgram = TowerShape | OwnProgram


def programs_of(model: RetrievalModel) -> tuple[TowerProgram, TowerProgram]:
    """What both towers of a model compute."""
    return program_of(model.query_model), program_of(model.candidate_model)


def program_of(tower: Tower | OwnTower) -> TowerProgram:
    """What a tower computes, as a pure function of its weights."""
    return OwnProgram.of(tower) if isinstance(tower, OwnTower) else TowerShape.of(tower)


class DroppedIds(NamedTuple):
    """Rows whose id is not looked at, bool ``[rows]``, and the row that stands in for them.

    None is zeros: where there is no such row, as in MovieLens, row 0 stays that.
    """

    mask: jax.Array
    unknown: int | None


def embed(
    tower: TowerShape, weights: TowerWeights, rows: FeatureRows, dropped: DroppedIds | None = None
) -> jax.Array:
    """The final embeddings of some rows, float ``[rows, dimension]``.

    Where ``rows.ids`` is None, the table of the id feature holds those of the rows, in their order.
    """
    features = tower.schema.features
    count = len(features)
    embeddings, dense = weights[:count], weights[count:]
    kernels = jnp.split(dense[0], count)
    hidden: Any = dense[1]
    for feature, embedding, kernel in zip(features, embeddings, kernels, strict=True):
        hidden = hidden + _through_first_layer(feature, embedding, kernel, rows, dropped)
    for kernel, bias in zip(dense[2::2], dense[3::2], strict=True):
        hidden = jax.nn.relu(hidden) @ kernel + bias
    return _of_length_one(hidden) if tower.normalize else hidden


def _of_length_one(rows: jax.Array) -> jax.Array:
    """As Keras's ``UnitNormalization`` has it; a row of zeros stays one."""
    squares = jnp.sum(jnp.square(rows), axis=-1, keepdims=True)
    return rows * jax.lax.rsqrt(jnp.maximum(squares, SMALLEST_SQUARES))


def _through_first_layer(
    feature: Feature,
    embedding: jax.Array,
    kernel: jax.Array,
    rows: FeatureRows,
    dropped: DroppedIds | None,
) -> jax.Array:
    """What the feature adds to the first layer's output, ``[rows, width]``.

    ``embedding`` is its table, ``kernel`` its part ``[embedding_dimension, width]`` of the layer's.
    """
    if feature.kind == "id":
        own = embedding if rows.ids is None else take_rows(embedding, rows.ids)
        if dropped is not None:
            unknown = 0.0 if dropped.unknown is None else own[dropped.unknown]
            own = jnp.where(dropped.mask[:, None], unknown, own)
        return own @ kernel
    if is_share(feature):
        return rows.shares[feature.name] @ (embedding @ kernel)
    if feature.kind == "history":
        return _pooled(embedding, rows.lists[feature.name]) @ kernel
    if is_list(feature):
        return _mean_by_row(embedding, rows.lists[feature.name]) @ kernel
    values = rows.columns[feature.name]
    if feature.vocabulary_size <= SMALL_VOCABULARY:
        return take_rows(embedding @ kernel, values)
    return take_rows(embedding, values) @ kernel


def _mean_by_row(embedding: jax.Array, values: ValueList) -> jax.Array:
    """The mean of each row's embeddings, zero where it has none; padding is dropped."""
    if values.places is None:
        present = (values.matrix > 0).astype(embedding.dtype)
        total = jnp.einsum("rld,rl->rd", take_rows(embedding, values.matrix), present)
    else:
        total = jax.ops.segment_sum(
            take_rows(embedding, values.values),
            values.rows,
            len(values.counts),
            indices_are_sorted=True,
        )
    return total / jnp.maximum(values.counts, 1)[:, None]


def _pooled(embedding: jax.Array, histories: ValueList) -> jax.Array:
    """What :class:`~deeprec.model.towers.HistoryEmbedding` makes of histories, block by block."""

    def of_row(history: jax.Array) -> jax.Array:
        present = (history > 0).astype(embedding.dtype)
        return present @ take_rows(embedding, history)

    total = jax.lax.map(of_row, histories.matrix, batch_size=HISTORIES_IN_A_BLOCK)
    return total / jnp.sqrt(jnp.maximum(histories.counts, 1))[:, None]
