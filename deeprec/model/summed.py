"""A row as the sum of the embeddings of its features, with no dense layer behind it."""

from collections.abc import Mapping
from typing import Any

import keras

from deeprec.data.tables import Feature, FeatureSchema
from deeprec.model.own import Side
from deeprec.model.towers import feature_embedding, layer_seeds


class SumTower(keras.layers.Layer):
    """The factorization of LightFM (Kula 2015): an embedding a feature, of the score's dimension.

    For users who are known by their histories alone it is a linear autoencoder of low rank, where
    EASE (Steck 2019) is one of full rank.

    Args:
        schema: the features.
        side: does not matter.
        history: the feature that is the history; it is among those of the query side's schema.
        embedding_dimension: of every feature, and so of the score.
        seed: origin of the initial weights.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        side: Side,
        *,
        history: Feature | None,
        embedding_dimension: int,
        seed: int | None,
    ) -> None:
        super().__init__()
        del side, history
        self.features = [feature.name for feature in schema.features]
        seeds = layer_seeds(seed, len(self.features))
        self.embeddings = [
            feature_embedding(feature, embedding_dimension, each)
            for feature, each in zip(schema.features, seeds, strict=True)
        ]

    def call(self, features: Mapping[str, Any]) -> Any:
        """Embeds a batch of features by name: float ``[batch, embedding_dimension]``."""
        named = zip(self.features, self.embeddings, strict=True)
        return sum(embedding(features[name]) for name, embedding in named)
