"""Folders of files that are known by their SHA-256: written whole, checked before any is parsed."""

import errno
import hashlib
import json
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from deeprec.errors import DataError, printable

MANIFEST = "manifest.json"
"""Beside the files: the SHA-256 of each, by name."""

LARGEST_MANIFEST = 1 << 20
"""Bytes."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_plain_name(name: str) -> bool:
    """Whether a name can only be that of a file in the folder it is looked up in."""
    return _PLAIN_NAME.fullmatch(name) is not None


@contextmanager
def replacing(path: Path, prefix: str) -> Iterator[IO[bytes]]:
    """A new file that takes the place of another once it is whole and on disk.

    Until then its name has the prefix; a process that is killed leaves it.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=prefix, delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Writes a folder whole, or not at all; what was there before is replaced.

    ``fill`` writes the files into the folder that it is given.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as place:
        new = Path(place, "new")
        new.mkdir()
        fill(new)
        digests = {path.name: _digest(path) for path in sorted(new.iterdir())}
        (new / MANIFEST).write_text(json.dumps(digests, indent=1), encoding="utf-8")
        if folder.exists():
            folder.rename(Path(place, "old"))
        new.rename(folder)


def check_folder(folder: Path, names: Sequence[str], also: Sequence[str] = ()) -> Sequence[str]:
    """Checks that a folder holds these files as they were written; returns the checked ones.

    Those of ``also`` may be unknown to the manifest: it was written without them.

    Raises:
        DataError: one is missing or differs, or the manifest is none.
    """
    digests = _read_manifest(folder)
    names = [*names, *(name for name in also if name in digests)]
    if missing := [name for name in names if name not in digests]:
        raise _not_whole(folder, f"{MANIFEST} lacks {', '.join(missing)}")
    damaged = []
    for name in names:
        try:
            if digests[name] != _digest(folder / name):
                damaged.append(name)
        except OSError as error:
            raise _not_whole(folder, f"{name}: {error.strerror or error}") from error
    if damaged:
        raise DataError(
            f"{folder} is damaged: {', '.join(damaged)} differs from {MANIFEST}; make it again, "
            "or copy it again from where it came"
        )
    return names


@contextmanager
def parsed(folder: Path) -> Iterator[None]:
    """Turns every error of a parser of the files in a folder into a :class:`DataError`.

    A manifest proves that files are as they were written, not by whom.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        reason = printable(error) or type(error).__name__
        raise DataError(f"{folder} holds files that are no model of ours: {reason}") from error


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an ``.npz`` file of unknown origin: no pickles, no more than it holds.

    Raises:
        DataError: it would unpack to more than it holds.
    """
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > path.stat().st_size:
        raise DataError(
            f"{path} must hold arrays that are not compressed but would unpack to "
            f"{unpacked:,} bytes"
        )
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def _read_manifest(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file, by its name, which leads nowhere else."""
    try:
        with _open_regular(folder / MANIFEST) as file:
            text = file.read(LARGEST_MANIFEST + 1)
        if len(text) > LARGEST_MANIFEST:
            raise _not_whole(folder, f"{MANIFEST} has more than {LARGEST_MANIFEST:,} bytes")
        content = json.loads(text)
    except OSError as error:
        raise _not_whole(folder, f"{MANIFEST}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise _not_whole(folder, f"{MANIFEST} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise _not_whole(folder, f"{MANIFEST} must be an object of names and SHA-256")
    for name, digest in content.items():
        if not is_plain_name(name):
            raise _not_whole(folder, f"{MANIFEST} must name files of the folder, not {name[:80]!r}")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise _not_whole(folder, f"{MANIFEST} must give {name} a SHA-256")
    return content


def _digest(path: Path) -> str:
    with _open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_regular(path: Path) -> BufferedReader:
    """Opens a file to be read; a pipe or a device, which might never end, is none."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "must be a file but is not")
    return path.open("rb")


def _not_whole(folder: Path, reason: str) -> DataError:
    return DataError(f"{folder} does not hold a whole model ({reason})")
