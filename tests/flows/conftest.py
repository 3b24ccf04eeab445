"""Folders in which real commands run."""

from pathlib import Path

import pytest

from deeprec.data.dataset import Dataset
from tests.commands import Folder as Folder
from tests.faults.fake import EPOCH_SECONDS
from tests.tiny_study import tiny_study


@pytest.fixture
def folder(tmp_path: Path, small_cache_home: Path) -> Folder:
    """For commands that train, on few rows."""
    return Folder(tmp_path / "folder", cache_home=small_cache_home)


@pytest.fixture
def real(tmp_path: Path, dataset: Dataset) -> Folder:
    """For commands that train, on all rows."""
    return Folder(tmp_path / "folder")


@pytest.fixture
def fake(tmp_path: Path, small_cache_home: Path) -> Folder:
    """For searches whose trials last a second and train nothing."""
    return Folder(
        tmp_path / "folder",
        tiny_study(("epochs = 4", "epochs = 20")),
        cache_home=small_cache_home,
        is_fake=True,
        **{EPOCH_SECONDS: "0.05"},
    )
