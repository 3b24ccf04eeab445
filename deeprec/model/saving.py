"""Saving Keras models without waking TensorFlow."""

import json
import sys
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import keras
from keras.src.utils import module_utils

from deeprec.errors import DataError
from deeprec.model.own import OwnTower, Side
from deeprec.model.towers import CandidateModel, QueryModel
from deeprec.parts import PartError, trusting

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


def load_tower(
    path: Path, side: Side, *, trusted: Collection[str] = ()
) -> QueryModel | CandidateModel | OwnTower:
    """Loads a tower of a side as :func:`load_model_of` does.

    Code that the file names is imported where its name is among the ``trusted``, or comes along.

    Raises:
        DataError: it is another model, or its code is not trusted or cannot be used.
    """
    if _registered_name_in(path) != keras.saving.get_registered_name(OwnTower):
        return load_model_of(QueryModel if side == "query" else CandidateModel, path)
    try:
        with trusting(trusted):
            tower = load_model_of(OwnTower, path)
    except PartError as error:
        raise DataError(f"{path}: {error}") from error
    if tower.side != side:
        raise DataError(f"{path} must hold a tower of the {side} side but is of the {tower.side}")
    return tower


def towers_named_in(path: Path) -> str | None:
    """The part that makes the tower of a file, where it is not ours; nothing of it is imported."""
    config = _config_in(path)
    if config.get("registered_name") != keras.saving.get_registered_name(OwnTower):
        return None
    return str(config["config"]["towers"])


def _registered_name_in(path: Path) -> str:
    """The class of which a file says that it holds one, as it is registered with Keras."""
    config = _config_in(path)
    return str(config.get("registered_name") or config.get("class_name"))


def _config_in(path: Path) -> dict[str, Any]:
    """What Keras has written of a model, beside its weights."""
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise DataError(f"{path} must hold files that are not compressed")
        with archive.open("config.json") as file:
            return dict(json.loads(file.read(_LARGEST_CONFIG)))


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
