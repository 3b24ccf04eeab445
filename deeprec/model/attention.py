"""A user as what attention makes of the items of a history, beside the user's features."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from deeprec.data.tables import Feature, FeatureSchema
from deeprec.model.own import Side
from deeprec.model.towers import (
    EMBEDDING_LIMIT,
    NumpyUniform,
    dense_layer,
    feature_embedding,
    layer_seeds,
)

NEVER = -1e9


class AttentionTower(keras.layers.Layer):
    """Embeddings of the features and, of a user, of the history: then the dense layers of a tower.

    Each head asks by what the features say: ``softmax(q K / sqrt(d)) K`` over the embeddings of
    the items of the history, which are the query side's own.

    Args:
        schema: the features.
        side: does not matter; only the query side has a history.
        history: the feature that is the history.
        layer_sizes: of the dense layers; the last is the dimension of the score.
        embedding_dimension: of every feature, and of an item of the history.
        seed: origin of the initial weights.
        heads: how many.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        side: Side,
        *,
        history: Feature | None,
        layer_sizes: Sequence[int],
        embedding_dimension: int,
        seed: int | None,
        heads: int = 1,
    ) -> None:
        super().__init__()
        del side
        features = [feature for feature in schema.features if feature != history]
        self.features = [feature.name for feature in features]
        self.heads = heads
        seeds = iter(layer_seeds(seed, len(features) + len(layer_sizes) + 2))
        self.embeddings = [feature_embedding(f, embedding_dimension, next(seeds)) for f in features]
        self.history = None if history is None else history.name
        if history is not None:
            self.items = keras.layers.Embedding(
                history.vocabulary_size,
                embedding_dimension,
                embeddings_initializer=NumpyUniform(EMBEDDING_LIMIT, next(seeds)),
            )
            self.asking = dense_layer(heads * embedding_dimension, next(seeds))
        self.dense = [
            dense_layer(size, next(seeds), activation="relu" if depth < len(layer_sizes) else None)
            for depth, size in enumerate(layer_sizes, start=1)
        ]

    def call(self, features: Mapping[str, Any]) -> Any:
        """Embeds a batch of features by name: float ``[batch, layer_sizes[-1]]``."""
        named = zip(self.features, self.embeddings, strict=True)
        hidden = keras.ops.concatenate([each(features[name]) for name, each in named], axis=-1)
        if self.history is not None:
            pooled = self._pooled(hidden, features[self.history])
            hidden = keras.ops.concatenate([hidden, pooled], axis=-1)
        for dense in self.dense:
            hidden = dense(hidden)
        return hidden

    def _pooled(self, hidden: Any, history: Any) -> Any:
        """What each head makes of the histories, ``[batch, heads * embedding_dimension]``.

        Zeros where there is nothing in one.
        """
        present = keras.ops.not_equal(history, 0)
        items = self.items(history)
        dimension = items.shape[-1]
        asked = keras.ops.reshape(self.asking(hidden), (-1, self.heads, dimension))
        scores = keras.ops.einsum("bhd,bld->bhl", asked, items) / np.sqrt(dimension)
        shares = keras.ops.softmax(keras.ops.where(present[:, None], scores, NEVER), axis=-1)
        shares = shares * keras.ops.cast(present[:, None], shares.dtype)
        pooled = keras.ops.einsum("bhl,bld->bhd", shares, items)
        return keras.ops.reshape(pooled, (-1, self.heads * dimension))
