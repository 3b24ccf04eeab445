"""Tiny archives of the shape of ml-100k.zip, and their checksums."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

from deeprec.sources.archive import Archive, FileChecksum
from deeprec.sources.releases import MOVIELENS_100K, Release
from tests.unit.deeprec.raw import raw_tables

FILES = {
    "u.data": b"1\t2\t5\t881250949\n",
    "u.item": b"1|Toy Story (1995)\n2|Fl\xe9au (1998)\n",
    "u.user": b"1|24|M|technician|85711\n",
}


def checksum(name: str, content: bytes) -> FileChecksum:
    return FileChecksum(name, len(content), hashlib.sha256(content).hexdigest())


def spec_of(archive: Path, files: dict[str, bytes] = FILES) -> Archive:
    """What an archive must be so that this one is genuine."""
    return Archive(
        archive=checksum("ml-100k.zip", archive.read_bytes()),
        folder="ml-100k",
        files={name: checksum(name, content) for name, content in files.items()},
    )


def release_of(archive: Path) -> Release:
    """A release whose archive is this one, and whose tables are the small ones."""
    return replace(
        MOVIELENS_100K, archive=spec_of(archive), raw_sha256=raw_tables().digest(), wheel=None
    )


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_archive(path: Path, files: dict[str, bytes] = FILES) -> Path:
    return write_zip(path, {f"ml-100k/{name}": content for name, content in files.items()})


def write_files(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
