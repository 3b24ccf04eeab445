"""Towers of one's own: a Keras layer that users' code makes, in the place of our tower.

The code is called once for each side, ``towers(schema, side)`` with what else it asks for by name,
and returns a layer or a model that maps a batch of features by name to embeddings. It is made
again by the same call when a file is loaded, so a layer needs no ``get_config``.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import keras
import numpy as np

from deeprec.data.history import HISTORY, history_of
from deeprec.data.tables import FeatureSchema
from deeprec.model.towers import PACKAGE, SpectralEmbedding
from deeprec.parts import Part, PartError, aside, check_trusted, what_happened

Side = Literal["query", "candidate"]

VALUES = ("seed", "layer_sizes", "embedding_dimension", HISTORY)
"""What towers may ask for by name beside the study's own dimensions."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class OwnTower(keras.Model):
    """A tower that a part makes; what it returns may be scaled to length 1.

    Args:
        schema: the features of a row.
        side: ``query`` for users, ``candidate`` for items.
        towers: the name of the part, see :mod:`deeprec.parts`.
        layer_sizes: given where the part asks for it, as are embedding_dimension and seed.
        embedding_dimension: of a feature.
        own: further values that the part may ask for, by name.
        normalize: whether the final embeddings are scaled to length 1.
        spectral_dimension: how many dimensions in closed form are behind them; 0 is none.
        seed: origin of the initial weights, also where the part does not ask for it.

    Raises:
        PartError: the part cannot be used; the message names it.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        side: Side,
        towers: str,
        *,
        layer_sizes: Sequence[int],
        embedding_dimension: int,
        own: Mapping[str, Any],
        normalize: bool = False,
        spectral_dimension: int = 0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.schema = schema
        self.side = side
        self.part = Part("towers", towers)
        self.normalize = bool(normalize)
        self.seed = seed
        self.layer_sizes = tuple(int(size) for size in layer_sizes)
        self.embedding_dimension = int(embedding_dimension)
        self.own = json.dumps(dict(own))  # as text: Keras would wrap the values
        self.spectral_dimension = int(spectral_dimension)
        with _drawing_from(seed):
            self.inner = self._made()
            self.spectral = (
                SpectralEmbedding(schema, spectral_dimension) if spectral_dimension else None
            )
            self.build()

    def _made(self) -> keras.layers.Layer:
        values = {"layer_sizes": self.layer_sizes, "embedding_dimension": self.embedding_dimension}
        own = {**json.loads(self.own), **values, "seed": self.seed}
        own[HISTORY] = history_of(self.schema)
        try:
            made = self.part.call(self.schema, self.side, **own)
        except PartError:
            raise
        except Exception as error:
            raise PartError(
                f"{self.part} must make a tower of the {self.side} side but raised "
                f"{what_happened(error)}"
            ) from error
        if not isinstance(made, keras.layers.Layer):
            raise PartError(
                f"{self.part} must return a Keras layer or model but returned a "
                f"{type(made).__name__}"
            )
        return made

    def build(self, input_shape: Any = None) -> None:
        """Creates all weights; the schema says all there is to know about the input."""
        del input_shape
        rows = {
            feature.name: keras.KerasTensor(
                (None, *feature.row_shape), "float32" if feature.kind == "vector" else "int32"
            )
            for feature in self.schema.features
        }
        try:
            with aside():
                found = self.inner(rows)
        except Exception as error:
            raise PartError(
                f"{self.part} must embed a batch of the {self.side} side but raised "
                f"{what_happened(error)}"
            ) from error
        shape = getattr(found, "shape", None)
        if shape is None or len(shape) != 2 or not isinstance(shape[1], int):
            raise PartError(
                f"{self.part} must return [batch, dimension] for the {self.side} side but returned "
                f"{'no array' if shape is None else shown_shape(shape)}"
            )
        self.dimension = int(shape[1]) + self.spectral_dimension
        self.built = True

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Embeds a batch of features by name: float ``[batch, dimension]``."""
        own = {feature.name: features[feature.name] for feature in self.schema.features}
        with aside():
            found = self.inner(own, training=training)
        if self.normalize:
            found = keras.ops.normalize(found, axis=-1, epsilon=1e-12)
        return found if self.spectral is None or training else self.spectral(found, features)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain values."""
        return {
            "name": self.name,
            "schema": self.schema.to_config(),
            "side": self.side,
            "towers": self.part.name,
            "layer_sizes": list(self.layer_sizes),
            "embedding_dimension": self.embedding_dimension,
            "own": json.loads(self.own),
            "normalize": self.normalize,
            "spectral_dimension": self.spectral_dimension,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "OwnTower":
        """The tower that :meth:`get_config` describes, with fresh weights.

        Raises:
            PartError: nothing says that the code which the file names is trusted.
        """
        del custom_objects
        check_trusted(Part("towers", str(config["towers"])))
        return cls(**{**config, "schema": FeatureSchema.from_config(config["schema"])})


def asks_for_history(towers: str | None) -> bool:
    """Whether towers of one's own read what users have interacted with."""
    return towers is not None and HISTORY in Part("towers", towers).asked_for


@contextmanager
def _drawing_from(seed: int | None) -> Iterator[None]:
    """What is drawn meanwhile follows from the seed, also where layers are given none.

    Keras draws the seeds of such layers with Python's own generator.
    """
    if seed is None:
        yield
        return
    before, before_numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)


def shown_shape(shape: Sequence[int | None]) -> str:
    """Such as ``[batch, 3, 16]``."""
    return f"[{', '.join('batch' if size is None else str(size) for size in shape)}]"
