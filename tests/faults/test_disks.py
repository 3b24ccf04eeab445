"""Disks that are full, files that are damaged: what finished stays, what is broken is said."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.commands import Folder
from tests.faults.scene import Scene

pytestmark = [pytest.mark.data, pytest.mark.faults]


def fill(disk: Path, leave: int = 0) -> Path:
    ballast = disk / "ballast"
    # A search writes at the same time, so that even what was free may be too much.
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        file.write(bytes(max(0, shutil.disk_usage(disk).free - leave)))
        while leave == 0:
            file.write(bytes(4096))
    return ballast


@pytest.mark.storm
@pytest.mark.parametrize("leave", [0, 40_000, 150_000])
def test_a_full_disk_ends_the_search_and_leaves_the_databases_readable(
    small_cache_home: Path, small_disk: Callable[[int], Path], leave: int
) -> None:
    disk = small_disk(24)
    scene = Scene(disk.parent, small_cache_home, first=disk)
    try:
        assert scene.start(2).process.wait() == 0
        search = scene.start(1000)
        scene.until_more_have_finished()
        ballast = fill(disk, leave)
        assert search.process.wait(120) == 1, search.process.said
        assert "full" in search.process.said.splitlines()[-1], search.process.said
        assert "Traceback" not in search.process.said
        finished = scene.observe()
        for database in ("studies/tiny.db", "mlruns/mlflow.db"):
            with closing(sqlite3.connect(scene.folder.path / database)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        ballast.unlink()
        again = scene.start(finished + 2)
        assert again.process.wait() == 0, again.process.said
        scene.assert_whole(finished + 2)
    finally:
        scene.close()


def test_no_search_starts_on_a_full_disk(folder: Path, small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(1)
    fill(disk)
    done = Folder(folder).search("--storage", f"sqlite:///{disk}/full.db")
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    assert "database or disk is full" in done.stderr
    assert "make room on its disk, and give the same command again" in done.stderr


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwritten(content: bytes) -> bytes:
    return b"x" * 16 + content[16:]


def blank(content: bytes) -> bytes:
    return content[:200] + bytes(8192 - 200) + content[8192:]


@pytest.mark.parametrize("damage", [truncated, overwritten, blank])
def test_a_damaged_study_is_reported_and_left_as_it_is(
    searched: Folder, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    folder = searched.copy(tmp_path / "copy")
    database = folder.path / "studies" / "tiny.db"
    database.write_bytes(damage(database.read_bytes()))
    before = folder.snapshot()
    for module in ("search.run", "search.retrain"):
        done = folder.run(module, "--study", "tiny")
        assert done.returncode == 2, done.stdout + done.stderr
        assert done.stderr.count("\n") == 1
        assert "is damaged" in done.stderr
        assert ".recover" in done.stderr
    assert folder.snapshot() == before
