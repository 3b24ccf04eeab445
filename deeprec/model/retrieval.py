"""The retrieval model: both towers, a rating loss, and top-k retrieval over all candidates.

A plain Keras model: ``compile``, ``fit``, ``evaluate``, ``predict`` and ``save`` do what a Keras
user expects. The search trains the same model faster, see :mod:`deeprec.training.train`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import keras_rs

from deeprec.config import ModelConfig
from deeprec.data.history import with_history
from deeprec.data.tables import LIKED_ABOVE, FeatureSchema, FeatureTable
from deeprec.model.own import OwnTower, asks_for_history
from deeprec.model.towers import (
    PACKAGE,
    CandidateModel,
    NumpyZeros,
    QueryModel,
    tower_parameters,
)
from deeprec.parts import Part, PartError, check_trusted


@keras.saving.register_keras_serializable(package=PACKAGE)
class RetrievalModel(keras.Model):
    """Two towers whose dot product predicts the rating, and the candidates it retrieves.

    The candidates' features are weights (not trainable) of the model, so a saved model knows
    its catalog. Their embeddings are refreshed before every evaluation and prediction.

    Evaluation reports ``top_<k>_accuracy``: of the five-star rows, the share whose movie is among
    the k candidates retrieved for its user (the tutorial's metric). Training reports the loss
    alone.

    Args:
        query_schema: features of a user.
        candidate_schema: features of a movie.
        candidate_count: rows of the movie table, the reserved row 0 included.
        layer_sizes: of each tower, as the other arguments, see :class:`deeprec.config.ModelConfig`.
        embedding_dimension: of every feature.
        retrieval_k: candidates to retrieve for a user.
        normalize: whether final embeddings are scaled to length 1.
        spectral_dimension: how many dimensions in closed form are behind them; 0 is none. They are
            zeros unless :func:`deeprec.training.train.train` sets them.
        towers: the part that makes the towers, where they are not ours.
        own: further values that such a part may ask for.
        seed: origin of the initial weights; None draws one, as Keras's random seed decides.

    Raises:
        PartError: the part cannot be used.
    """

    def __init__(
        self,
        query_schema: FeatureSchema,
        candidate_schema: FeatureSchema,
        candidate_count: int,
        layer_sizes: Sequence[int] = (32,),
        embedding_dimension: int = 32,
        retrieval_k: int = 100,
        *,
        normalize: bool = False,
        spectral_dimension: int = 0,
        towers: str | None = None,
        own: Mapping[str, Any] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.candidate_count = int(candidate_count)
        self.retrieval_k = int(retrieval_k)
        self.seed = seed
        both: dict[str, Any] = {
            "layer_sizes": layer_sizes,
            "embedding_dimension": embedding_dimension,
            "normalize": normalize,
            "spectral_dimension": spectral_dimension,
        }
        query = {**both, "seed": seed, "name": "query_model"}
        next_seed = None if seed is None else seed + 1
        candidate = {**both, "seed": next_seed, "name": "candidate_model"}
        self.query_model: QueryModel | OwnTower
        self.candidate_model: CandidateModel | OwnTower
        if towers is None:
            self.query_model = QueryModel(query_schema, **query)
            self.candidate_model = CandidateModel(candidate_schema, **candidate)
        else:
            parts: dict[str, Any] = {"towers": towers, "own": own or {}}
            if asks_for_history(towers):
                query_schema = with_history(query_schema, candidate_count)
            self.query_model = OwnTower(query_schema, "query", **parts, **query)
            self.candidate_model = OwnTower(candidate_schema, "candidate", **parts, **candidate)
            dimensions = (self.query_model.dimension, self.candidate_model.dimension)
            if dimensions[0] != dimensions[1]:
                raise PartError(
                    f"{self.query_model.part} must have one dimension on both sides but has "
                    f"{dimensions[0]} (query) and {dimensions[1]} (candidate)"
                )
        self.candidate_features = {
            feature.name: self.add_weight(
                shape=(candidate_count, *feature.row_shape),
                dtype="float32" if feature.kind == "vector" else "int32",
                initializer=NumpyZeros(),
                trainable=False,
                name=f"candidate_{feature.name}",
            )
            for feature in candidate_schema.features
        }
        self.retrieval = keras_rs.layers.BruteForceRetrieval(
            candidate_embeddings=NumpyZeros()((candidate_count, self.query_model.dimension)),
            k=self.retrieval_k,
            return_scores=False,
        )
        self.top_k_accuracy = keras.metrics.SparseTopKCategoricalAccuracy(
            k=self.retrieval_k, from_sorted_ids=True, name=f"top_{self.retrieval_k}_accuracy"
        )
        self.built = True

    @classmethod
    def for_tables(
        cls,
        users: FeatureTable,
        movies: FeatureTable,
        config: ModelConfig,
        *,
        seed: int | None = None,
    ) -> Self:
        """The model for the given tables, its candidates set to every row of ``movies``.

        It retrieves no more candidates than there are.
        """
        model = cls(
            _query_schema(users.schema, movies.schema, config),
            movies.schema,
            movies.rows,
            config.layer_sizes,
            config.embedding_dimension,
            min(config.retrieval_k, movies.rows),
            normalize=config.normalize,
            spectral_dimension=config.spectral_dimension,
            towers=config.towers,
            own=dict(config.own),
            seed=seed,
        )
        model.set_candidates(movies)
        return model

    def set_candidates(self, movies: FeatureTable) -> None:
        """Makes the rows of ``movies`` the candidates; as many as the model was built for."""
        if movies.rows != self.candidate_count:
            raise ValueError(
                f"movies must have {self.candidate_count} rows, as the model has candidates, "
                f"but got {movies.rows}"
            )
        for name, variable in self.candidate_features.items():
            variable.assign(movies.columns[name])

    def update_candidates(self) -> None:
        """Embeds all candidates anew with the present weights.

        ``evaluate`` and ``predict`` do it by themselves; call it before calling the model directly.
        """
        features = {name: variable.value for name, variable in self.candidate_features.items()}
        self.retrieval.update_candidates(self.candidate_model(features))

    def call(self, features: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Embeds a batch of users' features and, for a score, movies'; retrieves outside training.

        Returns:
            ``query_embeddings`` ``[batch, dimension]``; with movies given, ``candidate_embeddings``
            ``[batch, dimension]`` and ``scores`` ``[batch, 1]``; outside training, ``predictions``
            ``[batch, retrieval_k]``: ids of the candidates with the highest scores, best first.
        """
        outputs = {"query_embeddings": self.query_model(features)}
        if self.candidate_model.schema.id_feature.name in features:
            outputs["candidate_embeddings"] = self.candidate_model(features)
            outputs["scores"] = keras.ops.sum(
                outputs["query_embeddings"] * outputs["candidate_embeddings"],
                axis=-1,
                keepdims=True,
            )
        if not training:
            outputs["predictions"] = self.retrieval(outputs["query_embeddings"])
        return outputs

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The compiled loss between the rating ``[batch]`` and the score."""
        return super().compute_loss(
            x, _as_column(y), y_pred["scores"], sample_weight, training=training
        )

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """The loss and compiled metrics of the score and, outside training, top-k accuracy."""
        if "predictions" in y_pred:
            liked = keras.ops.cast(keras.ops.reshape(y, (-1,)) > LIKED_ABOVE, "float32")
            if sample_weight is not None:
                liked = liked * keras.ops.cast(keras.ops.reshape(sample_weight, (-1,)), "float32")
            movie_id = x[self.candidate_model.schema.id_feature.name]
            self.top_k_accuracy.update_state(movie_id, y_pred["predictions"], liked)
        results = dict(super().compute_metrics(x, _as_column(y), y_pred["scores"], sample_weight))
        if "predictions" not in y_pred:
            del results[self.top_k_accuracy.name]
        return results

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`keras.Model.evaluate`, over candidates embedded with the present weights."""
        self.update_candidates()
        return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`keras.Model.predict`, over candidates embedded with the present weights."""
        self.update_candidates()
        return super().predict(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain values."""
        tower = self.query_model
        parts: dict[str, Any] = {}
        if isinstance(tower, OwnTower):
            parts = {"towers": tower.part.name, "own": tower.get_config()["own"]}
        return {
            "name": self.name,
            "query_schema": self.query_model.schema.to_config(),
            "candidate_schema": self.candidate_model.schema.to_config(),
            "candidate_count": self.candidate_count,
            "layer_sizes": list(self.query_model.layer_sizes),
            "embedding_dimension": self.query_model.embedding_dimension,
            "retrieval_k": self.retrieval_k,
            "normalize": self.query_model.normalize,
            "spectral_dimension": self.query_model.spectral_dimension,
            "seed": self.seed,
            **parts,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """The model that :meth:`get_config` describes, with fresh weights."""
        del custom_objects
        if towers := config.get("towers"):
            check_trusted(Part("towers", towers))
        schemas = {
            key: FeatureSchema.from_config(config[key])
            for key in ("query_schema", "candidate_schema")
        }
        return cls(**{**config, **schemas})


def parameter_count(users: FeatureSchema, movies: FeatureSchema, config: ModelConfig) -> int:
    """How many trainable parameters both towers have; towers of one's own are built for it.

    Raises:
        PartError: they cannot be.
    """
    users = _query_schema(users, movies, config)
    if config.towers is None:
        return sum(tower_parameters(schema, config) for schema in (users, movies))
    model = RetrievalModel(
        users,
        movies,
        1,
        config.layer_sizes,
        config.embedding_dimension,
        retrieval_k=1,
        towers=config.towers,
        own=dict(config.own),
        seed=0,
    )
    return sum(math.prod(weight.shape) for weight in model.trainable_variables)


def _query_schema(
    users: FeatureSchema, movies: FeatureSchema, config: ModelConfig
) -> FeatureSchema:
    """Of the query tower: that of the users, with a history of items that training knows."""
    return with_history(users, movies.id_feature.vocabulary_size, config.history)


def _as_column(y: Any) -> Any:
    """``[batch]`` to ``[batch, 1]``: Keras's losses take the mean over the last axis."""
    return keras.ops.reshape(y, (-1, 1))
