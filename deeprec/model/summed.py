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
    EASE (Steck 2019) is one of full rank. Beside what is trained it may have embeddings in closed
    form, see :mod:`deeprec.training.spectral`: a score is then that of what is trained, and so
    many times that of those. The steps of the training do not see them.

    Args:
        schema: the features.
        side: the score in closed form is weighed on the query side.
        history: the feature that is the history; it is among those of the query side's schema.
        embedding_dimension: of every feature, and so of what is trained.
        seed: origin of the initial weights.
        normalize: whether what is trained has length 1.
        spectral_dimension: how many dimensions are in closed form, next to the others; 0 is none.
        spectral_penalty: above 0; the larger, the more of the closed form is about what is popular.
        spectral_weight: what the score in closed form weighs, at least 0.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        side: Side,
        *,
        history: Feature | None,
        embedding_dimension: int,
        seed: int | None,
        normalize: bool,
        spectral_dimension: int = 0,
        spectral_penalty: float = 200.0,
        spectral_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.features = [feature.name for feature in schema.features]
        seeds = layer_seeds(seed, len(self.features))
        self.embeddings = [
            feature_embedding(feature, embedding_dimension, each)
            for feature, each in zip(schema.features, seeds, strict=True)
        ]
        self.normalize = normalize
        self.spectral_penalty = spectral_penalty
        self.spectral_weight = spectral_weight if side == "query" else 1.0
        self.spectral: keras.layers.Layer | None = None
        if spectral_dimension:
            known_by = history or schema.id_feature
            self.known_by = known_by.name
            self.spectral = feature_embedding(known_by, spectral_dimension, seed)
            self.spectral.trainable = False

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Embeds a batch of features by name: float ``[batch, dimension]``."""
        named = zip(self.features, self.embeddings, strict=True)
        trained = sum(embedding(features[name]) for name, embedding in named)
        if self.normalize:
            trained = keras.ops.normalize(trained, axis=-1, epsilon=1e-12)
        if self.spectral is None or training:
            return trained
        closed = self.spectral_weight * self.spectral(features[self.known_by])
        return keras.ops.concatenate([trained, closed], axis=-1)
