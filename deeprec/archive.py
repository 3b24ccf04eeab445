"""The published files, read from an archive or a folder and checked by size and SHA-256."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from deeprec.errors import DataError
from deeprec.movielens import MOVIELENS_100K, Archive, FileChecksum


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


def check_content(where: str, content: bytes, expected: FileChecksum) -> None:
    """Checks that the content of a file is the genuine one; ``where`` names it in the error.

    Raises:
        DataError: it is of another size or SHA-256.
    """
    digest = hashlib.sha256(content).hexdigest()
    if len(content) != expected.size or digest != expected.sha256:
        raise DataError(_differs(where, expected, len(content), digest))


def _differs(where: str, expected: FileChecksum, size: int, sha256: str | None = None) -> str:
    found = f"{size:,} bytes" + (f" and SHA-256 {sha256}" if sha256 else "")
    return (
        f"{where} is damaged or not {expected.name}: it must have {expected.size:,} bytes "
        f"and SHA-256 {expected.sha256} but has {found}"
    )


def read_archive(path: Path, spec: Archive = MOVIELENS_100K) -> Mapping[str, bytes]:
    """Reads the needed files from the published archive.

    Only the known members are read, by name and never further than their known size; nothing
    is extracted to disk.

    Raises:
        DataError: the archive or a member is missing, damaged, or not the published one.
    """
    check_file(path, spec.archive)
    try:
        with zipfile.ZipFile(path) as archive:
            return {file.name: _read_member(archive, path, spec, file) for file in spec.files}
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise DataError(f"{path} cannot be read as a zip archive: {error}") from error


def _read_member(archive: zipfile.ZipFile, path: Path, spec: Archive, file: FileChecksum) -> bytes:
    name = f"{spec.folder}/{file.name}"
    try:
        member: IO[bytes] = archive.open(name)
    except KeyError:
        raise DataError(f"{path} must contain {name} but does not") from None
    with member:
        content = member.read(file.size + 1)
    check_content(f"{name} in {path}", content, file)
    return content


def read_folder(folder: Path, spec: Archive = MOVIELENS_100K) -> Mapping[str, bytes]:
    """Reads the needed files from the folder they were extracted to.

    Raises:
        DataError: a file is missing, damaged, or not the published one.
    """
    for file in spec.files:
        check_file(folder / file.name, file)
    return {file.name: (folder / file.name).read_bytes() for file in spec.files}
