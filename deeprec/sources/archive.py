"""The published files: copied out of an archive or a folder, and checked by size and SHA-256."""

import hashlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
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
    """What a genuine file looks like.

    Attributes:
        name: the file's name, without a folder.
        size: bytes.
        sha256: lower-case hexadecimal digest.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A published archive and the files of it that are needed.

    Attributes:
        archive: the archive itself.
        folder: the folder inside the archive that holds the files.
        files: the names of the files.
        checksums: what the files look like, where that is known without the archive. Only then
            can a folder that they were extracted to be verified.
        encoding: of the text in the files.
    """

    archive: FileChecksum
    folder: str
    files: tuple[str, ...]
    checksums: tuple[FileChecksum, ...] = ()
    encoding: Literal["latin-1", "utf-8"] = "latin-1"

    def __post_init__(self) -> None:
        if self.checksums and tuple(file.name for file in self.checksums) != self.files:
            raise ValueError(f"checksums must be those of {self.files} but got {self.checksums}")

    def checksum_of(self, name: str) -> FileChecksum | None:
        """What the file looks like; None where only the archive as a whole is known."""
        return next((file for file in self.checksums if file.name == name), None)


def check_file(path: Path, expected: FileChecksum) -> None:
    """Checks that a file is the genuine one.

    Raises:
        DataError: it is missing, unreadable, or of another size or SHA-256.
    """
    try:
        size = path.stat().st_size
        if size != expected.size:
            raise DataError(_differs(str(path), expected, size))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if digest != expected.sha256:
        raise DataError(_differs(str(path), expected, size, digest))


def _differs(where: str, expected: FileChecksum, size: int, sha256: str | None = None) -> str:
    found = f"{size:,} bytes" + (f" and SHA-256 {sha256}" if sha256 else "")
    return _is_not(where, expected, found)


def _is_not(where: str, expected: FileChecksum, found: str) -> str:
    return (
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
    """Extracts the needed files from the published archive.

    Only the known members are read, by name, a piece at a time, and never further than their
    known size.

    Args:
        path: the archive.
        spec: what it must be.
        folder: where the files are written to.

    Returns:
        The folder.

    Raises:
        DataError: the archive or a member is missing, damaged, or not the published one.
    """
    check_file(path, spec.archive)
    folder.mkdir(parents=True, exist_ok=True)
    for name in spec.files:
        member = f"{spec.folder}/{name}"
        pieces = _chunks(path, member)
        write_checked(folder / name, pieces, spec.checksum_of(name), where=f"{member} in {path}")
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
    target: Path, chunks: Iterable[bytes], expected: FileChecksum | None, *, where: str
) -> None:
    """Writes a file piece by piece.

    Args:
        target: the file.
        chunks: what is written, in order.
        expected: what the file must be; None where that is not known.
        where: what the pieces are, for the error.

    Raises:
        DataError: it is of another size or SHA-256. Nothing beyond the size is written.
    """
    size, digest = 0, hashlib.sha256()
    with target.open("wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if expected and size > expected.size:
                raise DataError(_is_not(where, expected, f"more than {expected.size:,} bytes"))
            digest.update(chunk)
            file.write(chunk)
    if expected and (size, digest.hexdigest()) != (expected.size, expected.sha256):
        raise DataError(_differs(where, expected, size, digest.hexdigest()))


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
            # A piece at a time, and checked once more: it is the copy that will be read.
            pieces = iter(partial(file.read, _CHUNK), b"")
            write_checked(folder / path.name, pieces, expected, where=str(path))
    return folder
