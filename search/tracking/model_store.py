"""MLflow's models and its registry, reduced to what is needed; like the store, without globals.

A model is text, arrays and Keras's own format: nothing of it is pickled.
:func:`search.tracking.destination.prepare_environment` comes before the import of this module.
"""

import importlib.util
import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, DataType, Schema, TensorSpec

import deeprec
from deeprec.data.audience import shown_id
from deeprec.parts import SHIPPED, place_of
from deeprec.recommender_files import ARRAYS_FILE, CATALOG_FILE, INDEX_FILE, towers_of
from deeprec.retrieval.approximate import PACKAGE
from search.analysis.verdict import Confirmed
from search.tracking.destination import Destination, address_here
from search.tracking.models import (
    CHAMPION,
    MODEL_NAME,
    ModelVersion,
    confirmed_of,
    description_of,
    model_description,
    tags_of,
)
from search.tracking.names import NOTE

RECOMMENDER_FOLDER = "recommender"  # among the artifacts of a model

REQUIREMENTS = ("mlflow", "keras", "keras-rs", "jax", "jaxlib", "numpy", "pandas")
"""What a served model needs, at the versions it was made with."""

_NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow says of a model that does not exist: the latter of an alias."""

SERVING_CODE = Path(__file__).with_name("serving_model.py")

_ANSWER = {
    "user_id": DataType.long,
    "rank": DataType.long,
    "movie_id": DataType.long,
    "title": DataType.string,
    "score": DataType.double,
    "row": DataType.long,
    "known_user": DataType.boolean,
    "error": DataType.string,
}


def signature_of(ids: Mapping[str, DataType], item: str) -> ModelSignature:
    """The columns of an answer. Types of inputs are not declared, see :mod:`.serving_model`."""
    kinds = {**_ANSWER, "user_id": ids["user_ids"], item: ids["movie_ids"]}
    names = [name if name != "movie_id" else item for name in _ANSWER]
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(kinds[n], n, required=n in ("row", "known_user")) for n in names
    ]
    return ModelSignature(outputs=Schema(columns))


class ModelStore:
    """The models of one MLflow server or database; every method may raise what mlflow raises."""

    def __init__(self, destination: Destination, name: str = MODEL_NAME) -> None:
        self.name = name  # of the registered model
        self._uri = destination.uri
        self._database = destination.database
        self._client = MlflowClient(tracking_uri=destination.uri, registry_uri=destination.uri)

    def log_model(self, run_id: str, folder: Path) -> str:
        """Makes a model of a recommender's folder and links it to a run; returns its id."""
        experiment_id = self._client.get_run(run_id).info.experiment_id
        model = self._client.create_logged_model(experiment_id, self.name, source_run_id=run_id)
        with tempfile.TemporaryDirectory() as place:
            about = Model(
                artifact_path=model.artifact_location,
                model_uuid=model.model_id,
                run_id=run_id,
                model_id=model.model_id,
            )
            _save(Path(place), folder, about)
            self._client.log_model_artifacts(model.model_id, str(Path(place, "model")))
        self._client.finalize_logged_model(model.model_id, "READY")
        self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        return str(model.model_id)

    def register(self, model_id: str, confirmed: Confirmed) -> str:
        """Makes a version of the registered model with what it is worth; returns its number.

        Descriptions are written now and never again: people may edit them.
        """
        with suppress(MlflowException):  # it exists
            self._client.create_registered_model(
                self.name, description=model_description(self.name)
            )
        model = self._client.get_logged_model(model_id)
        # A database would look the URI up in MLflow's global one; a server looks in its own.
        source = f"models:/{model_id}" if self._database is None else model.artifact_location
        run = self._client.get_run(str(model.source_run_id))
        made = self._client.create_model_version(
            self.name,
            source,
            run_id=model.source_run_id,
            tags=tags_of(confirmed),
            description=description_of(confirmed, run.data.tags.get(NOTE, "")),
            model_id=model.model_id,
        )
        return str(made.version)

    def champion(self) -> ModelVersion | None:
        """The version to use; None where there is no such model or alias."""
        try:
            aliases = self._client.get_registered_model(self.name).aliases
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        if CHAMPION not in aliases:
            return None
        found = self._client.get_model_version(self.name, str(aliases[CHAMPION]))
        return ModelVersion(
            version=str(found.version), run_id=found.run_id, confirmed=confirmed_of(found.tags)
        )

    def tags_of(self, run_id: str) -> dict[str, str]:
        """The tags of a run; none where it was deleted for good."""
        try:
            return dict(self._client.get_run(run_id).data.tags)
        except MlflowException as error:
            if error.error_code in _NOT_THERE:
                return {}
            raise

    def version_of(self, run_id: str) -> str | None:
        """The latest version that was made of a run; None where there is none."""
        found = self._client.search_model_versions(f"name = '{self.name}' and run_id = '{run_id}'")
        return max((str(made.version) for made in found), key=int, default=None)

    def tag(self, version: str, tag: str, value: str) -> None:
        """Sets a tag of a version."""
        self._client.set_model_version_tag(self.name, version, tag, value)

    def promote(self, version: str) -> None:
        """Makes a version the champion."""
        self._client.set_registered_model_alias(self.name, CHAMPION, version)

    def download(self, model_uri: str, into: Path) -> Path | None:
        """A copy of a model's recommender in a folder; None where there is no such model."""
        try:
            location = self._location(model_uri.removeprefix("models:/"))
            if self._database is not None:
                location = address_here(location, self._database)
        except MlflowException as error:
            if error.error_code in _NOT_THERE:
                return None
            raise
        files = f"{location}/artifacts/{RECOMMENDER_FOLDER}"
        return Path(
            download_artifacts(artifact_uri=files, dst_path=str(into), tracking_uri=self._uri)
        )

    def _location(self, model: str) -> str:
        """Where the files of ``NAME@ALIAS``, ``NAME/VERSION`` or a model's id are.

        MLflow's own way from a URI to its files leads through the global tracking URI.
        """
        name, at, alias = model.partition("@")
        if at:
            number = self._client.get_model_version_by_alias(name, alias).version
            return str(self._client.get_model_version_download_uri(name, str(number)))
        name, slash, number = model.partition("/")
        if slash:
            return str(self._client.get_model_version_download_uri(name, number))
        return str(self._client.get_logged_model(model).artifact_location)


def _save(place: Path, folder: Path, about: Model) -> None:
    """Writes MLflow's model into ``place/model``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MLflow warns of its own type hints
        from mlflow.pyfunc import save_model

    needed = [*REQUIREMENTS, *([PACKAGE] if (folder / INDEX_FILE).exists() else [])]
    ids = _ids_in(folder)
    kinds = {n: DataType.string if a.dtype.kind == "S" else DataType.long for n, a in ids.items()}
    is_own = json.loads((folder / CATALOG_FILE).read_bytes()).get("own") is not None
    some_user = shown_id(ids["user_ids"][2 if is_own else 1])
    shutil.copytree(folder, place / RECOMMENDER_FOLDER)
    save_model(
        place / "model",
        mlflow_model=about,
        python_model=str(SERVING_CODE),
        artifacts={"recommender": str(place / RECOMMENDER_FOLDER)},
        code_paths=[str(Path(deeprec.__file__).parent), *code_beside(folder)],
        signature=signature_of(kinds, "item_id" if is_own else "movie_id"),
        input_example=pd.DataFrame({"user_id": [some_user], "k": [5]}),
        pip_requirements=[f"{name}=={version(name)}" for name in needed],
    )
    for cache in (place / "model").rglob("__pycache__"):
        shutil.rmtree(cache)


def code_beside(folder: Path) -> list[str]:
    """What must lie beside a recommender so that its towers can be made: none for ours.

    It is the package, or the module, that the towers' name begins with.
    """
    towers = towers_of(folder)
    if towers is None or towers in SHIPPED["towers"]:
        return []
    found = importlib.util.find_spec(place_of("towers", towers).partition(":")[0].partition(".")[0])
    if found is None or found.origin is None:
        return []
    return list(found.submodule_search_locations or [found.origin])


def _ids_in(folder: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(folder / ARRAYS_FILE, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ("user_ids", "movie_ids")}
