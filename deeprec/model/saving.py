"""Saving Keras models without waking TensorFlow."""

import json
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import keras
from keras.src.utils import module_utils

from deeprec.errors import DataError

Kind = TypeVar("Kind")

_LARGEST_CONFIG = 1 << 20
"""Bytes; of a larger one the beginning is read, which is no JSON."""


def save_model(model: keras.Model, path: Path) -> None:
    """Saves a model as Keras does, to a path that ends in ``.keras``, without TensorFlow."""
    with _without_tensorflow():
        model.save(path)


def load_model(path: Path) -> keras.Model:
    """Loads a model in Keras's safe mode, without importing TensorFlow for it."""
    with _without_tensorflow():
        return keras.saving.load_model(path, safe_mode=True)


def load_model_of(kind: type[Kind], path: Path) -> Kind:
    """Loads a model as :func:`load_model` does, of a file of unknown origin.

    What the file says that it holds is looked at before Keras does, which would import and build
    any class that is named there, and unpack what is packed.

    Raises:
        DataError: it is one of another kind, or packed.
    """
    registered = _registered_name_in(path)
    if registered != keras.saving.get_registered_name(kind):
        shown = registered.rpartition(">")[2][:80]
        raise DataError(f"{path} must hold a {kind.__name__} but holds a {shown}")
    model = load_model(path)
    if not isinstance(model, kind):
        raise DataError(f"{path} must hold a {kind.__name__} but holds a {type(model).__name__}")
    return model


def _registered_name_in(path: Path) -> str:
    """The class of which a file says that it holds one, as it is registered with Keras."""
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise DataError(f"{path} must hold files that are not compressed")
        with archive.open("config.json") as file:
            config = json.loads(file.read(_LARGEST_CONFIG))
    return str(config.get("registered_name") or config.get("class_name"))


@contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Lets Keras believe for a moment that TensorFlow is not installed, unless it was imported.

    Keras would import it (seconds, hundreds of megabytes) to find out that nothing is of it.
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
