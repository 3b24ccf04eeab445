"""What the tests of faults break: searches, a database server, a tracking server, a disk."""

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands import Folder
from tests.faults.postgres import NotInstalledError, PostgresServer
from tests.faults.scene import Scene
from tests.faults.servers import MlflowServer

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


@pytest.fixture
def is_fake() -> bool:
    return True


@pytest.fixture(params=["sqlite", "postgresql"])
def scene(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    small_cache_home: Path,
    mlflow_server: MlflowServer,
    is_fake: bool,
) -> Iterator[Scene]:
    """Searches on either storage, tracked by a real MLflow server."""
    made = Scene(
        tmp_path,
        small_cache_home,
        storage=request.getfixturevalue("database") if request.param == "postgresql" else None,
        tracking_uri=mlflow_server.uri,
        is_fake=is_fake,
    )
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A tracking server for all tests; each study has runs of its own there."""
    server = MlflowServer(tmp_path_factory.mktemp("mlflow-server"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes an empty disk of so many megabytes; skips where none can be mounted."""
    mounted: list[Path] = []

    def make(megabytes: int) -> Path:
        folder = tmp_path / f"disk-{next(_numbers)}"
        folder.mkdir()
        options = ["-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)]
        done = subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True, text=True)
        if done.returncode != 0:  # it takes root, and not every container lets root
            pytest.skip(f"a tmpfs cannot be mounted: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:  # lazily: a process that a failed test left may have a file open
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: nothing that is refused writes anything."""
    return Folder(tmp_path_factory.mktemp("refused")).path
