"""The query tower and the candidate tower: features in, one embedding a row out.

Both are the same machine: one embedding a feature of the schema, concatenated, then dense layers.
"""

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from deeprec.config import ModelConfig
from deeprec.data.history import history_of
from deeprec.data.tables import Feature, FeatureSchema

PACKAGE = "deeprec"

EMBEDDING_LIMIT = 0.05
"""Embeddings start in this range around zero, as Keras's ``uniform`` has it."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class MeanEmbedding(keras.layers.Layer):
    """The mean embedding of a padded list of values, such as the tokens of a title.

    Maps int ``[batch, length]``, padded with 0, to float ``[batch, output_dim]``. A row of padding
    alone gives zeros (where Keras's masked average pooling would divide by zero).
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.embedding = keras.layers.Embedding(
            input_dim, output_dim, embeddings_initializer=embeddings_initializer
        )

    def build(self, input_shape: Any) -> None:
        """Creates the table."""
        self.embedding.build(input_shape)
        self.built = True

    def call(self, values: Any) -> Any:
        """Returns float ``[batch, output_dim]``."""
        present = keras.ops.cast(keras.ops.not_equal(values, 0), self.compute_dtype)
        total = keras.ops.einsum("bld,bl->bd", self.embedding(values), present)
        count = keras.ops.sum(present, axis=-1, keepdims=True)
        return total / self.divisor(keras.ops.maximum(count, 1.0))

    def divisor(self, count: Any) -> Any:
        """What a sum of so many embeddings is divided by."""
        return count

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "input_dim": self.embedding.input_dim,
            "output_dim": self.embedding.output_dim,
            "embeddings_initializer": keras.initializers.serialize(
                self.embedding.embeddings_initializer
            ),
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class HistoryEmbedding(MeanEmbedding):
    """The sum of the embeddings of a history's items, over the root of how many they are.

    So it is about as large for a short history as for a long one, and grows where the items agree.
    """

    def divisor(self, count: Any) -> Any:
        """The root."""
        return keras.ops.sqrt(count)


class SpectralEmbedding(keras.layers.Layer):
    """What a tower has in closed form, next to what is trained: the score is the sum of both.

    One embedding for each item of a history where the schema has one, else for each id. They are
    zeros until :func:`deeprec.training.spectral.set_spectral` sets them, and no step trains them.
    """

    def __init__(self, schema: FeatureSchema, dimension: int) -> None:
        super().__init__()
        self.known_by = known_by(schema)
        layer = HistoryEmbedding if self.known_by.kind == "history" else keras.layers.Embedding
        self.table = layer(
            self.known_by.vocabulary_size,
            dimension,
            embeddings_initializer=NumpyZeros(),
            name="spectral",
        )
        self.table.build((None, *self.known_by.row_shape))
        self.trainable = False  # once all layers within are there: it reaches them, too
        self.built = True

    def call(self, trained: Any, features: Mapping[str, Any]) -> Any:
        """Behind float ``[batch, trained dimension]`` those of the rows."""
        return keras.ops.concatenate([trained, self.table(features[self.known_by.name])], axis=-1)


def known_by(schema: FeatureSchema) -> Feature:
    """The feature by which a closed form knows a row: a history, where there is one, or the id."""
    return history_of(schema) or schema.id_feature


@keras.saving.register_keras_serializable(package=PACKAGE)
class NumpyUniform(keras.initializers.Initializer):
    """Uniform weights drawn by NumPy, from a seed of their own.

    Keras's initializers draw with JAX, which compiles a program for every shape of every new
    model: two seconds a trial for a millisecond's work.

    Weights lie in ``[-limit, limit)``; a limit of None is Glorot's ``sqrt(6 / (rows + columns))``
    (Glorot and Bengio 2010), Keras's choice for dense layers.
    """

    def __init__(self, limit: float | None = None, seed: int | None = None) -> None:
        self.limit = limit
        self.seed = random.randint(1, 10**9) if seed is None else seed  # noqa: S311  (as Keras draws it)

    def __call__(self, shape: Sequence[int], dtype: Any = None, **_kwargs: Any) -> Any:
        """Draws float32 weights of a matrix's shape."""
        limit = self.limit or float(np.sqrt(6.0 / sum(shape)))
        weights = np.random.default_rng(self.seed).uniform(-limit, limit, tuple(shape))
        return keras.ops.convert_to_tensor(weights.astype(dtype or "float32"))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"limit": self.limit, "seed": self.seed}


@keras.saving.register_keras_serializable(package=PACKAGE)
class NumpyZeros(keras.initializers.Initializer):
    """Zeros made by NumPy: Keras's own are a compiled program for every shape, as above."""

    def __call__(self, shape: Sequence[int], dtype: Any = None, **_kwargs: Any) -> Any:
        """Zeros of the shape, float32 unless another type is asked for."""
        return keras.ops.convert_to_tensor(np.zeros(tuple(shape), dtype or "float32"))


class Tower(keras.Model):
    """Embeddings of a schema's features, concatenated, then a dense stack.

    ReLU follows every dense layer but the last, whose width is the dimension of the final
    embedding.

    Args:
        schema: the features, in the order of concatenation.
        layer_sizes: widths of the dense layers, input to output.
        embedding_dimension: dimension of every feature's embedding.
        normalize: whether the final embeddings are scaled to length 1.
        spectral_dimension: how many dimensions in closed form are behind them; 0 is none.
        seed: origin of the initial weights; None draws one, as Keras's random seed decides.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        layer_sizes: Sequence[int],
        embedding_dimension: int = 32,
        *,
        normalize: bool = False,
        spectral_dimension: int = 0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.schema = schema
        self.normalize = bool(normalize)
        self.layer_sizes = tuple(int(size) for size in layer_sizes)
        self.embedding_dimension = int(embedding_dimension)
        self.seed = seed
        if not self.layer_sizes:
            raise ValueError("layer_sizes must name at least one layer but got none")

        seeds = layer_seeds(seed, len(schema.features) + len(self.layer_sizes))
        self.feature_embeddings = [
            feature_embedding(feature, self.embedding_dimension, layer_seed)
            for feature, layer_seed in zip(schema.features, seeds, strict=False)
        ]
        self.dense_layers = [
            keras.layers.Dense(
                size,
                activation="relu" if depth < len(self.layer_sizes) else None,
                kernel_initializer=NumpyUniform(seed=layer_seed),
                bias_initializer=NumpyZeros(),
                name=f"dense_{depth}",
            )
            for depth, (size, layer_seed) in enumerate(
                zip(self.layer_sizes, seeds[len(schema.features) :], strict=True), start=1
            )
        ]
        self.spectral_dimension = int(spectral_dimension)
        self.spectral = (
            SpectralEmbedding(schema, spectral_dimension) if spectral_dimension else None
        )
        self.build()

    @property
    def dimension(self) -> int:
        """Of the final embedding, with what is in closed form."""
        return self.layer_sizes[-1] + self.spectral_dimension

    def build(self, input_shape: Any = None) -> None:
        """Creates all weights; the schema says all there is to know about the input."""
        del input_shape
        for feature, embedding in zip(self.schema.features, self.feature_embeddings, strict=True):
            embedding.build((None, *feature.row_shape))
        width = len(self.schema.features) * self.embedding_dimension
        for size, dense in zip(self.layer_sizes, self.dense_layers, strict=True):
            dense.build((None, width))
            width = size
        if history_of(self.schema):
            self._forget_row_zero()
        self.built = True

    def _forget_row_zero(self) -> None:
        """Makes the embedding of the id 0, which stands for no user, that of nothing."""
        place = self.schema.features.index(self.schema.id_feature)
        table = self.feature_embeddings[place].embeddings
        table.assign(np.concatenate([np.zeros_like(table[:1]), np.asarray(table)[1:]]))

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Embeds a batch of features by name; names the schema lacks are ignored.

        They are as in a table's columns; the result is float ``[batch, dimension]``, and in
        training ``[batch, layer_sizes[-1]]``.
        """
        hidden = keras.ops.concatenate(
            [
                embedding(features[feature.name])
                for feature, embedding in zip(
                    self.schema.features, self.feature_embeddings, strict=True
                )
            ],
            axis=-1,
        )
        for dense in self.dense_layers:
            hidden = dense(hidden)
        if self.normalize:
            hidden = keras.ops.normalize(hidden, axis=-1, epsilon=1e-12)
        if self.spectral is None or training:
            return hidden
        return self.spectral(hidden, features)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain values."""
        return {
            "name": self.name,
            "schema": self.schema.to_config(),
            "layer_sizes": list(self.layer_sizes),
            "embedding_dimension": self.embedding_dimension,
            "normalize": self.normalize,
            "spectral_dimension": self.spectral_dimension,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Tower":
        """The tower that :meth:`get_config` describes, with fresh weights."""
        del custom_objects
        return cls(**{**config, "schema": FeatureSchema.from_config(config["schema"])})


@keras.saving.register_keras_serializable(package=PACKAGE)
class QueryModel(Tower):
    """The query tower: a user's features to the user's embedding."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class CandidateModel(Tower):
    """The candidate tower: a movie's features to the movie's embedding."""


def tower_parameters(schema: FeatureSchema, config: ModelConfig) -> int:
    """How many trainable parameters the tower of a schema has; nothing is built."""
    vocabulary = sum(feature.vocabulary_size for feature in schema.features)
    widths = [len(schema.features) * config.embedding_dimension, *config.layer_sizes]
    dense = sum((before + 1) * after for before, after in pairwise(widths))
    return vocabulary * config.embedding_dimension + dense


def layer_seeds(seed: int | None, count: int) -> list[int | None]:
    """Independent seeds, one a layer: equal seeds would give equal layers equal weights."""
    if seed is None:
        return [None] * count
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(count) >> 1]


def dense_layer(
    size: int, seed: int | None, *, bias: bool = True, activation: str | None = None
) -> keras.layers.Dense:
    """A dense layer whose weights NumPy draws."""
    return keras.layers.Dense(
        size,
        activation=activation,
        use_bias=bias,
        kernel_initializer=NumpyUniform(seed=seed),
        bias_initializer=NumpyZeros(),
    )


def feature_embedding(feature: Feature, dimension: int, seed: int | None) -> keras.layers.Layer:
    """A layer that embeds a column of a feature: ``[batch, ...]`` to ``[batch, dimension]``."""
    if feature.kind == "vector":
        return keras.layers.Dense(
            dimension, use_bias=False, kernel_initializer=NumpyUniform(seed=seed), name=feature.name
        )
    layer = MeanEmbedding if feature.is_multivalued else keras.layers.Embedding
    if feature.kind == "history":
        layer = HistoryEmbedding
    return layer(
        feature.vocabulary_size,
        dimension,
        embeddings_initializer=NumpyUniform(EMBEDDING_LIMIT, seed),
        name=feature.name,
    )
