"""Saving Keras models without waking TensorFlow."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import keras
from keras.src.utils import module_utils

from deeprec.errors import DataError

Kind = TypeVar("Kind")


def save_model(model: keras.Model, path: Path) -> None:
    """Saves a model as Keras does, without importing TensorFlow for it.

    Args:
        model: any Keras model.
        path: ends in ``.keras``.
    """
    with _without_tensorflow():
        model.save(path)


def load_model(path: Path) -> keras.Model:
    """Loads a model in Keras's safe mode, without importing TensorFlow for it."""
    with _without_tensorflow():
        return keras.saving.load_model(path, safe_mode=True)


def load_model_of(kind: type[Kind], path: Path) -> Kind:
    """Loads a model as :func:`load_model` does.

    Raises:
        DataError: it is one of another kind.
    """
    model = load_model(path)
    if not isinstance(model, kind):
        raise DataError(f"{path} must hold a {kind.__name__} but holds a {type(model).__name__}")
    return model


@contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Lets Keras believe for a moment that TensorFlow is not installed, if nobody imported it.

    Keras asks of everything it serializes whether it is a TensorFlow object, and imports
    TensorFlow (several seconds, hundreds of megabytes) to find out that it is not.
    """
    tensorflow = module_utils.tensorflow
    if "tensorflow" in sys.modules or tensorflow._available is not None:
        yield
        return
    tensorflow._available = False
    try:
        yield
    finally:
        tensorflow._available = None
