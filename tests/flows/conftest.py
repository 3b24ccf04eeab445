"""Folders in which real commands run."""

from pathlib import Path

import pytest

from deeprec.data.dataset import Dataset
from tests.commands import Folder as Folder
from tests.faults.fake import HOLD


@pytest.fixture
def folder(tmp_path: Path, small_cache_home: Path) -> Folder:
    """For commands that train, on few rows."""
    return Folder(tmp_path / "folder", cache_home=small_cache_home)


@pytest.fixture
def real(tmp_path: Path, dataset: Dataset) -> Folder:
    """For commands that train, on all rows."""
    return Folder(tmp_path / "folder")


class FakeFolder(Folder):
    """For searches that train nothing, and whose trials can be held after their first epoch."""

    def __init__(self, path: Path, cache_home: Path) -> None:
        self._hold = path.parent / "hold"
        variables = {HOLD: str(self._hold)}
        super().__init__(path, cache_home=cache_home, is_fake=True, **variables)

    def hold(self) -> None:
        """Has every trial wait until it is released or stopped."""
        self._hold.touch()

    def release(self) -> None:
        """Has trials go on."""
        self._hold.unlink()


@pytest.fixture
def fake(tmp_path: Path, small_cache_home: Path) -> FakeFolder:
    """For searches whose trials take milliseconds and train nothing."""
    return FakeFolder(tmp_path / "folder", small_cache_home)
