"""An MLflow for every test: a database whose content is put back, and one server for all.

Opening another database takes MLflow half of a second; so they share one.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.tracking.tracker import Tracker, open_tracker
from tests.faults.servers import MlflowServer
from tests.mlflow_database import empty_database
from tests.tiny_recommender import tiny_recommender
from tests.unit.search.tracking.support import CONTEXT, At, Open, Reader, Warnings


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of :func:`folder`, which is to stay where it is."""
    shared = tmp_path_factory.mktemp("shared") / "mlruns"
    shared.mkdir()
    (shared / "mlflow.db").write_bytes(empty_database())
    return shared


@pytest.fixture
def folder(shared: Path) -> Path:
    """A folder such as ``mlruns``, its database made and empty; not to be moved or damaged."""
    (shared / ".lock").unlink(missing_ok=True)
    shutil.rmtree(shared / "artifacts", ignore_errors=True)
    with (
        closing(sqlite3.connect(":memory:")) as template,
        closing(sqlite3.connect(shared / "mlflow.db")) as database,
    ):
        template.deserialize(empty_database())
        template.backup(database)
    return shared


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """The same for what moves or damages it."""
    folder = tmp_path / "mlruns"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(empty_database())
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real server for all tests; each has a study of its own, and leaves it running."""
    with MlflowServer(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def recommender_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "any name"
    tiny_recommender().save(folder)
    return folder


@pytest.fixture
def warnings() -> Warnings:
    return Warnings()


@pytest.fixture
def opened(folder: Path, warnings: Warnings) -> Open:
    """Opens the study anew, as another process would; takes changes of its context."""

    def open_it(**changes: Any) -> Tracker:
        return open_tracker(None, replace(CONTEXT, **changes), folder=folder, warn=warnings)

    return open_it


@pytest.fixture
def tracker(opened: Open) -> Tracker:
    return opened()


@pytest.fixture
def reader(tracker: Tracker) -> Reader:
    return Reader(tracker.uri)


@pytest.fixture
def at(tracker: Tracker, reader: Reader, opened: Open, warnings: Warnings, folder: Path) -> At:
    return At(tracker, reader, opened, warnings, folder)
