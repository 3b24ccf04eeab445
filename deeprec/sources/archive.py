"""The published files: copied out of an archive or a folder, and checked by size and SHA-256."""

import hashlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from deeprec.errors import DataError, printable

_CHUNK = 1 << 20
"""Bytes that are held at a time."""

_NOT_A_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,  # encrypted, or compressed in a way that is not known
    ValueError,
)
"""What reading a damaged archive raises."""


@dataclass(frozen=True)
class FileChecksum:
    """What a genuine file looks like: its bare name, bytes, and digest in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A published archive and the files of it that are needed.

    Attributes:
        archive: the archive itself.
        folder: the folder inside the archive that holds the files.
        files: by name what a file looks like; None where only the archive is known.
        encoding: of the text in the files.
    """

    archive: FileChecksum
    folder: str
    files: Mapping[str, FileChecksum | None]
    encoding: Literal["latin-1", "utf-8"] = "latin-1"

    @property
    def checksums(self) -> list[FileChecksum]:
        """Those of the files. Without them, a folder they were extracted to is not verifiable."""
        return [file for file in self.files.values() if file]


def check_file(path: Path, expected: FileChecksum) -> None:
    """Checks that a file is the genuine one.

    Raises:
        DataError: it is missing, unreadable, or of another size or SHA-256.
    """
    try:
        size = path.stat().st_size
        if size != expected.size:
            raise _damaged(str(path), expected, f"{size:,} bytes")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if digest != expected.sha256:
        raise _damaged(str(path), expected, f"{size:,} bytes and SHA-256 {digest}")


def _damaged(where: str, expected: FileChecksum, found: str) -> DataError:
    return DataError(
        f"{where} is damaged or not {expected.name}: it must have {expected.size:,} bytes "
        f"and SHA-256 {expected.sha256} but has {found}"
    )


def check_archive(path: Path, spec: Archive) -> None:
    """Checks that a file is the published archive; unpacks nothing.

    Raises:
        DataError: it is missing, damaged, not the published one, or lacks a needed file.
    """
    check_file(path, spec.archive)
    for name in spec.files:
        next(_chunks(path, f"{spec.folder}/{name}"), None)


def extract_archive(path: Path, spec: Archive, folder: Path) -> Path:
    """Extracts the needed files from the published archive into a folder, which it returns.

    Only the known members are read, by name, in chunks, and never further than their known size.

    Raises:
        DataError: as :func:`check_archive`, or a file is not the published one.
    """
    check_file(path, spec.archive)
    folder.mkdir(parents=True, exist_ok=True)
    for name, expected in spec.files.items():
        member = f"{spec.folder}/{name}"
        write_checked(folder / name, _chunks(path, member), expected, f"{member} in {path}")
    return folder


def _chunks(path: Path, member: str) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except KeyError:
        raise DataError(f"{path} must contain {member} but does not") from None
    except _NOT_A_ZIP as error:
        reason = printable(error) or type(error).__name__
        raise DataError(f"{path} cannot be read as a zip archive: {reason}") from error


def write_checked(
    target: Path, chunks: Iterable[bytes], expected: FileChecksum | None, where: str
) -> None:
    """Writes a file in chunks, and nothing beyond its size; ``where`` names it in the error.

    Raises:
        DataError: it is of another size or SHA-256 than expected.
    """
    size, digest = 0, hashlib.sha256()
    with target.open("wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if expected and size > expected.size:
                raise _damaged(where, expected, f"more than {expected.size:,} bytes")
            digest.update(chunk)
            file.write(chunk)
    found = digest.hexdigest()
    if expected and (size, found) != (expected.size, expected.sha256):
        raise _damaged(where, expected, f"{size:,} bytes and SHA-256 {found}")


def check_folder(folder: Path, spec: Archive) -> None:
    """Checks the files in the folder that they were extracted to.

    Raises:
        DataError: a file is missing, damaged, or not the published one; or no file can be
            verified by itself.
    """
    if not spec.checksums:
        raise DataError(
            f"the files in {folder} cannot be verified without the archive that they came in; "
            f"name {spec.archive.name} in their place"
        )
    for file in spec.checksums:
        check_file(folder / file.name, file)


def copy_folder(source: Path, spec: Archive, folder: Path) -> Path:
    """Copies the files from the folder that they were extracted to, and returns the copy.

    Raises:
        DataError: as :func:`check_folder`.
    """
    check_folder(source, spec)
    folder.mkdir(parents=True, exist_ok=True)
    for expected in spec.checksums:
        path = source / expected.name
        with path.open("rb") as file:
            # Checked once more: it is the copy that will be read.
            chunks = iter(partial(file.read, _CHUNK), b"")
            write_checked(folder / path.name, chunks, expected, str(path))
    return folder
