"""A deep-and-cross tower (DCN-v2): layers that multiply features, beside dense ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from deeprec.data.tables import FeatureSchema
from deeprec.model.own import Side
from deeprec.model.towers import dense_layer, feature_embedding, layer_seeds


class CrossTower(keras.layers.Layer):
    """Cross layers over the concatenated embeddings, then the dense layers of a tower.

    A cross layer is ``x0 * (x W + b) + x`` with the embeddings as ``x0`` (Wang et al. 2021, "DCN
    V2"); its output goes through the next. What it adds is products of features, one degree more
    a layer. With a ``cross_rank`` above 0, ``W`` is a product of two matrices of that rank.

    Args:
        schema: the features.
        side: does not matter.
        layer_sizes: of the dense layers that follow; the last is the dimension of the score.
        embedding_dimension: of every feature.
        seed: origin of the initial weights.
        cross_layers: how many.
        cross_rank: of their matrices; 0 is full.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        side: Side,
        *,
        layer_sizes: Sequence[int],
        embedding_dimension: int,
        seed: int | None,
        cross_layers: int = 2,
        cross_rank: int = 0,
    ) -> None:
        super().__init__()
        del side
        self.features = [feature.name for feature in schema.features]
        count = len(self.features)
        width = count * embedding_dimension
        seeds = iter(layer_seeds(seed, count + 2 * cross_layers + len(layer_sizes)))
        self.embeddings = [
            feature_embedding(feature, embedding_dimension, next(seeds))
            for feature in schema.features
        ]
        narrow = cross_layers if cross_rank else 0
        self.narrow = [dense_layer(cross_rank, next(seeds), bias=False) for _ in range(narrow)]
        self.wide = [dense_layer(width, next(seeds)) for _ in range(cross_layers)]
        self.dense = [
            dense_layer(size, next(seeds), activation="relu" if depth < len(layer_sizes) else None)
            for depth, size in enumerate(layer_sizes, start=1)
        ]

    def call(self, features: Mapping[str, Any]) -> Any:
        """Embeds a batch of features by name: float ``[batch, layer_sizes[-1]]``."""
        embedded = [
            embedding(features[name])
            for name, embedding in zip(self.features, self.embeddings, strict=True)
        ]
        first = crossed = keras.ops.concatenate(embedded, axis=-1)
        for position, wide in enumerate(self.wide):
            inner = self.narrow[position](crossed) if self.narrow else crossed
            crossed = first * wide(inner) + crossed
        for dense in self.dense:
            crossed = dense(crossed)
        return crossed
