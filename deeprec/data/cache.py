"""Prepared arrays on disk: written atomically, verified when read, never trusted.

An entry is two files named by its fingerprint: ``FINGERPRINT.npz`` with the arrays, and
``FINGERPRINT.json``, a manifest with the size and SHA-256 of the first, written last. Arrays are
mapped into memory rather than read: the workers of a search share them.
"""

import contextlib
import hashlib
import json
import math
import os
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from deeprec.data.verified_files import replacing
from deeprec.errors import DataError, printable, unwritable
from deeprec.sources.pace import Announce

ENTRIES = "prepared"
"""The folder of the entries, in the cache folder."""

LOCAL_HEADER = 30
ZIP64_FIELD = 20
PADDING_FIELD = 0xD935
ALIGNED = 64
"""Bytes: of a ZIP file's header of a member, and of the field of sizes that follows its name; the
number of a field that pads, as of Android's packages; and where arrays start, as NumPy has it."""

REPORT_SECONDS = 15.0
"""Between two announcements of a process that waits for another."""

_NEW = ".new-"


@dataclass(frozen=True)
class Entry:
    """What is kept under one fingerprint: arrays, and notes in JSON, which are not verified."""

    arrays: Mapping[str, npt.NDArray[Any]]
    notes: Mapping[str, Any]


def open_folder(folder: Path) -> Path:
    """Creates the cache folder, for its owner alone, if it is not there.

    Raises:
        DataError: it cannot be created.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(unwritable(folder, error)) from error
    return folder


def is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or made; nothing is written."""
    existing = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def temporary_folder() -> Path | None:
    """Where this user's cache is among temporary files; None where there is no place for them."""
    try:
        return Path(tempfile.gettempdir()) / f"deeprec-{os.getuid()}"
    except OSError:
        return None


def is_own(folder: Path) -> bool:
    """Creates a folder if it is not there; whether it is this user's and closed to all others."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        is_closed = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
        return is_closed and found.st_uid == os.getuid()
    return False


def read_or_make(
    folder: Path,
    fingerprint: str,
    make: Callable[[], Entry],
    announce: Announce,
    *,
    usual: Path | None = None,
) -> Entry:
    """Reads an entry, or makes and keeps it; processes that need it at once make it once.

    Args:
        folder: the cache folder.
        fingerprint: a digest of all that decides what the entry is.
        make: makes the entry, under the lock of the folder.
        announce: called with which it was, and why an entry must be made.
        usual: the folder that ``folder`` stands in for, as it cannot be written to; it may hold
            the entry all the same.

    Raises:
        DataError: the folder cannot be written to, or ``make`` says so.
    """
    if usual is not None and usual != folder:
        if (entry := read_sound(usual, fingerprint)) is not None:
            announce("from the prepared arrays in the cache")
            return entry
        announce(f"the cache folder {usual} cannot be written to, so {folder} is used")
    if (entry := read_sound(folder, fingerprint, announce)) is None:
        with sole_writer(folder, announce):
            # Another process may have made it while this one waited.
            if (entry := read_sound(folder, fingerprint)) is None:
                entry = make()
                write_entry(open_folder(folder / ENTRIES), fingerprint, entry)
                return entry
    announce("from the prepared arrays in the cache")
    return entry


def read_sound(folder: Path, fingerprint: str, announce: Announce = lambda _: None) -> Entry | None:
    """Reads an entry of a cache folder; None, with the reason announced, where it must be made."""
    prepared = folder / ENTRIES
    try:
        entry = read_entry(prepared, fingerprint)
    except DataError as error:
        announce(f"the prepared arrays are damaged and will be rebuilt: {error}")
        return None
    if entry is None and any(prepared.glob("*.npz")):
        announce("the prepared arrays in the cache are of other data or other versions")
    return entry


def read_entry(prepared: Path, fingerprint: str) -> Entry | None:
    """Reads and verifies an entry; None where there is none.

    Raises:
        DataError: the entry is damaged.
    """
    path = prepared / f"{fingerprint}.npz"
    try:
        manifest = json.loads(path.with_suffix(".json").read_bytes())
        expected = (manifest["fingerprint"], manifest["size"], manifest["sha256"])
        notes = manifest["notes"]
        if not isinstance(notes, dict):
            raise TypeError("notes must be an object")
        with path.open("rb") as file:
            # Only a verified file is parsed. It is read twice rather than held twice: entries
            # are replaced, never changed, so the open file stays the same.
            if expected != (fingerprint, *_size_and_digest(file)):
                raise DataError(f"{path.name} differs from its manifest")
            return Entry(_mapped(file), notes)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, BadZipFile) as error:
        raise DataError(
            f"{path.name} or its manifest cannot be read ({printable(error)})"
        ) from error


def _mapped(file: IO[bytes]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an ``.npz`` file: mapped, copied when written to; read where not aligned."""
    arrays = {}
    with ZipFile(file) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                shape, is_fortran, dtype = _HEADERS[version](member)
                start = _start_of(file, info) + member.tell()
            name = info.filename.removesuffix(".npy")
            is_plain = not (dtype.hasobject or is_fortran or start % dtype.alignment)
            if is_plain and math.prod(shape) and info.compress_type == ZIP_STORED:
                found = np.memmap(file, dtype, mode="c", offset=start, shape=shape)
                arrays[name] = np.asarray(found)
                continue
            with archive.open(info) as member:  # which refuses objects
                arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
    return arrays


_HEADERS: Mapping[tuple[int, int], Callable[[IO[bytes]], tuple[Any, bool, Any]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _start_of(file: IO[bytes], info: ZipInfo) -> int:
    """Where a member's bytes start: behind its name and what a ZIP file notes of it."""
    file.seek(info.header_offset + LOCAL_HEADER - 4)
    name, extra = struct.unpack("<HH", file.read(4))
    return int(info.header_offset + LOCAL_HEADER + name + extra)


def _write_arrays(file: IO[bytes], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """An ``.npz`` file whose arrays are aligned, so that they can be mapped."""
    with ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            info = ZipInfo(f"{name}.npy")
            before = file.tell() + LOCAL_HEADER + len(info.filename.encode()) + ZIP64_FIELD + 4
            padding = -before % ALIGNED
            info.extra = struct.pack("<HH", PADDING_FIELD, padding) + bytes(padding)
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


def _size_and_digest(file: IO[bytes]) -> tuple[int, str]:
    """The size and SHA-256 of an open file, which is then at its start."""
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    size = file.tell()
    file.seek(0)
    return size, digest


def write_entry(prepared: Path, fingerprint: str, entry: Entry) -> None:
    """Writes an entry, as the sole writer; a reader finds the old one, none, or the whole new one.

    Raises:
        DataError: the folder cannot be written to.
    """
    try:
        for left_by_a_killed_process in prepared.glob(f"{_NEW}*"):
            left_by_a_killed_process.unlink()
        with replacing(prepared / f"{fingerprint}.npz", _NEW) as file:
            _write_arrays(file, entry.arrays)
            size, digest = _size_and_digest(file)
        manifest = {
            "fingerprint": fingerprint,
            "size": size,
            "sha256": digest,
            "notes": dict(entry.notes),
        }
        with replacing(prepared / f"{fingerprint}.json", _NEW) as file:
            file.write(json.dumps(manifest, indent=1).encode())
    except OSError as error:
        raise DataError(unwritable(prepared, error)) from error


@contextlib.contextmanager
def sole_writer(folder: Path, announce: Announce) -> Iterator[None]:
    """Holds the lock of a cache folder, waiting for another process that holds it.

    The operating system releases the lock of a process that dies. Waiting is announced at first
    and every ``REPORT_SECONDS``.

    Raises:
        DataError: the folder cannot be written to.
    """
    lock = FileLock(folder / "lock")
    patience = 0.0
    while not lock.is_locked:
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            announce("waiting for another process that is preparing it")
            patience = REPORT_SECONDS
        except OSError as error:
            raise DataError(unwritable(folder, error)) from error
    try:
        yield
    finally:
        lock.release()
