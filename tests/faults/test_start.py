"""What a search says when it cannot start: a server that is silent, a disk that is full."""

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.flows.conftest import Folder

pytestmark = [pytest.mark.data, pytest.mark.faults]

WITHIN_SECONDS = 12.0
IMPORT_SECONDS = 12.0
"""What importing all that a search needs may take on a machine that is busy."""


@pytest.fixture
def folder(tmp_path: Path, small_cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_cache_home))
    return Folder(tmp_path)


def refused(folder: Folder, *arguments: str) -> tuple[str, float]:
    """What a search says that cannot start, and after how many seconds."""
    started = time.monotonic()
    done = folder.search(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stdout
    return done.stderr, time.monotonic() - started


@pytest.mark.parametrize("listens", [False, True])
def test_a_server_that_does_not_answer_is_not_waited_for(folder: Folder, listens: bool) -> None:
    pytest.importorskip("psycopg")
    before = folder.snapshot()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        port = silent.getsockname()[1]
        url = f"postgresql://me:secret@127.0.0.1:{port}/studies"
        said, seconds = refused(folder, "--storage", url)
    assert said.startswith(f"error: storage postgresql://me:***@127.0.0.1:{port}/studies cannot be")
    assert ("timeout" if listens else "refused") in said
    assert "secret" not in said
    assert seconds < WITHIN_SECONDS + IMPORT_SECONDS
    assert folder.snapshot() == before


def fill(disk: Path) -> None:
    """Writes to a disk until nothing more goes on it."""
    descriptor = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.write(descriptor, bytes(65536)):
            pass
    os.close(descriptor)
    assert os.statvfs(disk).f_bavail == 0


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--storage", "disk is full; make room on its disk, and give the same command again"),
        ("--tracking-uri", "MLflow must be usable before a search starts, but"),
    ],
)
def test_a_full_disk_is_one_line(
    folder: Folder, small_disk: Callable[[int], Path], flag: str, message: str
) -> None:
    disk = small_disk(1)
    fill(disk)
    said, _ = refused(folder, flag, f"sqlite:///{disk}/full.db")
    assert message in said
    assert "database or disk is full" in said


def test_a_damaged_study_is_not_changed(folder: Folder) -> None:
    assert folder.search("--trials", "1").returncode == 0
    database = folder.path / "studies" / "tiny.db"
    content = bytearray(database.read_bytes())
    content[200:8192] = bytes(8192 - 200)
    database.write_bytes(content)
    before = folder.snapshot()
    for module in ("search.run", "search.retrain"):
        done = folder.run(module, "--study", "tiny")
        assert done.returncode == 2, done.stdout + done.stderr
        assert "is damaged" in done.stderr
        assert done.stderr.count("\n") == 1
    assert folder.snapshot() == before


def test_what_a_search_leaves_is_for_its_owner_alone(folder: Folder) -> None:
    done = folder.search("--trials", "2", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    ours = [path for path in folder.path.rglob("*") if path != folder.study_file]
    ours.remove(folder.path / "studies")
    modes = {str(path.relative_to(folder.path)): path.stat().st_mode & 0o777 for path in ours}
    assert {"studies/tiny.db", "studies/tiny.search.lock", "mlruns/mlflow.db"} <= modes.keys()
    assert any(name.endswith("query_model.keras") for name in modes)
    assert {name for name, mode in modes.items() if mode & 0o077} == set()
