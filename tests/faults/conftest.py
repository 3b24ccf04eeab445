"""What the tests of faults break: a database server, a disk; and data on which trials are short."""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deeprec.data.dataset import Dataset
from tests.data.conftest import dataset as dataset  # the small data is cut from it
from tests.faults.postgres import NotInstalledError, PostgresServer
from tests.faults.servers import MlflowServer
from tests.faults.small_data import small_cache
from tests.faults.tmpfs import CannotMountError, tmpfs
from tests.flows.conftest import TINY

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server; a test may leave it down, see ``database``."""
    try:
        server = PostgresServer()
    except NotInstalledError as error:
        if os.environ.get("REQUIRE_POSTGRES") == "1":
            pytest.fail(f"REQUIRE_POSTGRES=1 is set, but {error}")
        pytest.skip(str(error))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """The URL of an empty database, on a server that runs whatever the test before left."""
    postgres.start()
    return postgres.create_database(f"test_{next(_numbers)}")


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A tracking server for all tests; each study has runs of its own there."""
    server = MlflowServer(tmp_path_factory.mktemp("mlflow-server"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def small_cache_home(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``XDG_CACHE_HOME`` is set to, for commands that shall train on few rows."""
    folder = tmp_path_factory.mktemp("small-cache")
    small_cache(dataset, folder)
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes an empty disk of so many megabytes; skips where none can be mounted."""
    with ExitStack() as stack:

        def make(megabytes: int) -> Path:
            folder = tmp_path / f"disk-{next(_numbers)}"
            folder.mkdir()
            try:
                return stack.enter_context(tmpfs(folder, megabytes))
            except CannotMountError as error:
                pytest.skip(str(error))

        yield make


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Path:
    """One folder for all: nothing that is refused writes anything."""
    path = tmp_path_factory.mktemp("refused")
    (path / "studies").mkdir()
    (path / "studies" / "tiny.toml").write_text(TINY, encoding="utf-8")
    return path
