"""Folders of files that are known by their SHA-256: written whole, checked before any is parsed."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from deeprec.errors import DataError

MANIFEST = "manifest.json"
"""Beside the files: the SHA-256 of each, by name."""


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Writes a folder whole, or not at all; what was there before is replaced.

    Args:
        folder: the folder to be.
        fill: writes the files into the folder that it is given.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as place:
        new = Path(place, "new")
        new.mkdir()
        fill(new)
        digests = {path.name: _digest(path) for path in sorted(new.iterdir())}
        (new / MANIFEST).write_text(json.dumps(digests, indent=1), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)


def check_folder(folder: Path, names: Sequence[str]) -> None:
    """Checks that a folder holds these files as they were written.

    Raises:
        DataError: one is missing or differs.
    """
    try:
        digests = json.loads((folder / MANIFEST).read_bytes())
        damaged = [name for name in names if digests[name] != _digest(folder / name)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} does not hold a whole model ({_reason(error)})") from error
    if damaged:
        raise DataError(f"{folder} is damaged: {', '.join(damaged)} differs from {MANIFEST}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{Path(str(error.filename)).name}: {error.strerror}"
    return f"{MANIFEST} cannot be read: {error}"
