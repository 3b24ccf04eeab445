"""What is made once for all processes of the tests, and read by many: data, searched studies.

A test that writes there copies it first (:meth:`tests.commands.Folder.copy`).
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from deeprec.config import DataConfig
from deeprec.data.dataset import Dataset, load_dataset
from tests.commands import Folder
from tests.faults.small_data import small_cache

CONFIRMATION = ("--study", "tiny", "--top", "2", "--seeds", "2", "--promote")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first process that asks for it fills; the others wait for it."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, done = base / f"shared-{name}", base / f"shared-{name}.done"
    with FileLock(base / f"shared-{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed to make it
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """The real MovieLens 100K: prepared on first use, and then read from the user's cache."""
    return load_dataset(DataConfig())


@pytest.fixture(scope="session")
def small_cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``XDG_CACHE_HOME`` is set to, for commands that shall train on few rows."""
    return made_once(
        tmp_path_factory,
        "small-cache",
        lambda folder: small_cache(load_dataset(DataConfig()), folder),
    )


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Folder:
    """A folder whose study was searched, on all of the data."""

    def search(path: Path) -> None:
        done = Folder(path).search()
        assert done.returncode == 0, done.stderr

    return Folder(made_once(tmp_path_factory, "searched", search))


@pytest.fixture(scope="session")
def confirmed(tmp_path_factory: pytest.TempPathFactory, searched: Folder) -> Folder:
    """The searched folder, confirmed; what that printed is in ``confirmation.txt``."""

    def confirm(path: Path) -> None:
        folder = searched.copy(path)
        done = folder.run("search.retrain", *CONFIRMATION)
        assert done.returncode == 0, done.stderr
        (path / "confirmation.txt").write_text(done.stdout, encoding="utf-8")

    return Folder(made_once(tmp_path_factory, "confirmed", confirm))
