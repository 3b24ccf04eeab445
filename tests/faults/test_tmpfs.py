"""The small disk is full when it is full, and gone after the test."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.tmpfs import CannotMountError, tmpfs

pytestmark = pytest.mark.faults


def test_a_small_disk_is_full_soon(small_disk: Callable[[int], Path]) -> None:
    folder = small_disk(1)
    (folder / "small").write_bytes(bytes(1000))
    with pytest.raises(OSError, match="No space left") as caught:
        (folder / "large").write_bytes(bytes(2 << 20))
    assert caught.value.errno == errno.ENOSPC


def test_it_is_unmounted_also_where_a_file_is_open(tmp_path: Path) -> None:
    try:
        with tmpfs(tmp_path, 1) as folder, (folder / "file").open("wb") as file:
            assert folder.is_mount()
    except CannotMountError as error:
        pytest.skip(str(error))
    assert file.closed
    assert not tmp_path.is_mount()


def test_what_cannot_be_mounted_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(CannotMountError, match="a tmpfs cannot be mounted: "),
        tmpfs(tmp_path / "missing", 1),
    ):
        pass
