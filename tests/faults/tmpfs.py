"""A small file system in memory: a disk that is full soon."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CannotMountError(Exception):
    """No file system can be mounted here: it takes root, and not every container lets root."""


@contextmanager
def tmpfs(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mounts an empty file system of that size over a folder, and unmounts it in any case.

    Raises:
        CannotMountError: that is not possible here.
    """
    options = f"size={megabytes}m,mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        raise CannotMountError("there is no program mount") from None
    if done.returncode != 0:
        raise CannotMountError(f"a tmpfs cannot be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily: a process that a failed test left behind may have a file open.
        subprocess.run(["umount", "--lazy", folder], check=True)
