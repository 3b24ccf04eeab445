"""An MLflow store of its own for every test."""

import shutil
from pathlib import Path

import pytest

from search.tracking import Tracker, open_tracker
from search.tracking.destination import prepare_environment
from tests.unit.search.tracking.support import CONTEXT, Reader, Warnings


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without experiments; making one takes seconds, copying it does not."""
    prepare_environment()
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").get_experiment("0")
    return path


@pytest.fixture
def folder(tmp_path: Path, empty_database: Path) -> Path:
    """A folder such as ``mlruns``, its database made."""
    folder = tmp_path / "mlruns"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


@pytest.fixture
def warnings() -> Warnings:
    return Warnings()


@pytest.fixture
def tracker(folder: Path, warnings: Warnings) -> Tracker:
    return open_tracker(None, CONTEXT, folder=folder, warn=warnings)


@pytest.fixture
def reader(tracker: Tracker) -> Reader:
    return Reader(tracker.uri)
