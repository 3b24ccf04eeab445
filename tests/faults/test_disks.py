"""Disks that are full, files that are damaged: what finished stays, what is broken is said."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from deeprec.data.dataset import default_cache_dir
from tests.faults.scene import Command, Scene

pytestmark = [pytest.mark.data, pytest.mark.faults]


@pytest.fixture
def scene(tmp_path: Path, small_cache_home: Path) -> Iterator[Scene]:
    made = Scene(tmp_path, small_cache_home, seed=3)
    try:
        yield made
    finally:
        made.close()


def searched(scene: Scene, trials: int, *options: str) -> Command:
    command = scene.start(trials, *options)
    scene.wait()
    return command


def fill(folder: Path, leave: int) -> Path:
    """Fills a disk up to so many bytes."""
    ballast = folder / "ballast"
    usage = shutil.disk_usage(folder)
    # The search writes at the same time, so that even what was free may be too much.
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        file.write(bytes(max(0, usage.free - leave)))
    return ballast


@pytest.mark.storm
@pytest.mark.parametrize("leave", [0, 40_000, 150_000])
def test_a_full_disk_ends_the_search_and_leaves_the_databases_readable(
    tmp_path: Path, small_cache_home: Path, small_disk: Callable[[int], Path], leave: int
) -> None:
    disk = small_disk(24)
    scene = Scene(disk, small_cache_home, seed=4, output=tmp_path)
    try:
        before = searched(scene, 2)
        assert before.process.returncode == 0, before.said
        command = scene.start(1000)
        scene.until_more_is_told()
        ballast = fill(disk, leave)
        assert command.process.wait(120) == 1, command.said
        assert "full" in command.said.splitlines()[-1], command.said
        assert "Traceback" not in command.said
        finished = scene.observe()
        for database in ("studies/tiny.db", "mlruns/mlflow.db"):
            with closing(sqlite3.connect(scene.folder / database)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        ballast.unlink()
        again = searched(scene, finished + 2)
        assert again.process.returncode == 0, again.said
        scene.assert_whole(finished + 2)
    finally:
        scene.close()


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncated, flipped])
def test_a_damaged_cache_is_rebuilt(
    tmp_path: Path, small_cache_home: Path, damage: Callable[[Path], None]
) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(small_cache_home, cache, symlinks=True)
    [entry] = (cache / "deeprec" / "prepared").glob("*.npz")
    damage(entry)
    scene = Scene(tmp_path, cache, seed=5)
    try:
        command = searched(scene, 1, "--data-dir", str(raw_data()))
        assert command.process.returncode == 0, command.said
        assert "the prepared arrays are damaged and will be rebuilt" in command.said
        scene.assert_whole(1)
    finally:
        scene.close()


def raw_data() -> Path:
    """What the data was prepared from, kept by TFDS in the cache of all tests."""
    return default_cache_dir() / "tensorflow_datasets"


def overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[:16] = b"x" * 16
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncated, overwritten])
def test_a_damaged_study_is_reported_and_left_as_it_is(
    scene: Scene, damage: Callable[[Path], None]
) -> None:
    assert searched(scene, 3).process.returncode == 0
    database = scene.folder / "studies" / "tiny.db"
    damage(database)
    before = database.read_bytes()
    command = scene.start(5)
    assert command.process.wait(120) == 2, command.said
    assert ".recover" in command.said
    assert database.read_bytes() == before
