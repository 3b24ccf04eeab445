"""Genuine tables in TFDS data directories, and one such directory of our own in the cache folder.

Files from elsewhere are prepared into our own, so that new versions of the libraries find the data
without a network.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deeprec.errors import DataError, unwritable
from deeprec.sources import tfds_tables
from deeprec.sources.movielens import RawTables, check_tables
from deeprec.sources.pace import Announce, Pace, in_words
from deeprec.sources.releases import Release

Fetch = Callable[[Path], Path]
"""Given a staging folder, puts the verified published files into a folder below, and names it."""

RATINGS_A_SECOND = 5_000
"""What TFDS prepares at least, on one core of a common machine; for the estimate at the start."""

DISK_PER_RATING = 300
"""Bytes in the cache folder while a rating is prepared: its line, TFDS's rows and their buckets.
Measured: 187 bytes of them stay."""


class VerifiedDirectories:
    """Which TFDS data directories are known to hold the genuine tables; noted in the cache folder.

    TFDS does not write the same bytes twice, so there is no checksum to know beforehand. A note
    says that these bytes held the genuine tables, or were prepared here from the published archive.

    Args:
        cache_dir: the cache folder.
        release: the data set.
    """

    def __init__(self, cache_dir: Path, release: Release) -> None:
        self._folder = cache_dir / "verified"
        self._release = release

    def know(self, tables_digest: str) -> bool:
        """Whether there is a note for files with this digest."""
        return self._note(tables_digest).exists()

    def note(self, tables_digest: str) -> None:
        """Leaves a note for files with this digest.

        Raises:
            OSError: the cache folder cannot be written to.
        """
        self._folder.mkdir(exist_ok=True)
        self._note(tables_digest).touch()

    def _note(self, tables_digest: str) -> Path:
        return self._folder / f"{tables_digest}-{self._release.identity[:16]}"


def read_checked(release: Release, data_dir: Path) -> RawTables:
    """Reads the tables from a TFDS data directory and checks them by what is published of them.

    Raises:
        DataError: it does not hold them, or others.
    """
    tables = tfds_tables.read(release, data_dir)
    try:
        return check_tables(tables, release)
    except DataError as error:
        raise DataError(f"{data_dir}: {error}") from error


def read_genuine(release: Release, data_dir: Path, verified: VerifiedDirectories) -> RawTables:
    """Reads the tables from a TFDS data directory that can be verified.

    Raises:
        DataError: it does not hold them, holds others, or holds some that can neither be told
            from others by their digest nor are known to come from the published archive.
    """
    if (
        release.raw_sha256 is None
        and tfds_tables.has_tables(release, data_dir)
        and not verified.know(tfds_tables.digest(release, data_dir))
    ):
        raise DataError(
            f"{data_dir} was not prepared here from {release.archive.archive.name}, so its "
            "tables cannot be verified; name it with --data-dir to use them all the same"
        )
    return read_checked(release, data_dir)


class OwnDirectory:
    """The TFDS data directory in the cache folder; used under the lock of that folder.

    Args:
        release: the data set.
        cache_dir: the cache folder.
        announce: told what takes long.
    """

    def __init__(self, release: Release, cache_dir: Path, announce: Announce) -> None:
        self._release = release
        self._cache_dir = cache_dir
        self._folder = cache_dir / "tensorflow_datasets"
        self._verified = VerifiedDirectories(cache_dir, release)
        self._announce = announce

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        """An empty staging folder, removed afterwards: by the next process if this one dies."""
        folder = self._cache_dir / "staging"
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            yield folder
        except OSError as error:
            raise DataError(unwritable(self._cache_dir, error)) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def read(self) -> RawTables:
        """Reads the genuine tables, if they are there."""
        return read_genuine(self._release, self._folder, self._verified)

    def prepare(self, fetch: Fetch) -> RawTables:
        """Prepares the tables from the published files, and keeps them if they are genuine.

        Raises:
            DataError: they cannot be fetched or prepared, or there is no room for them.
        """
        release = self._release
        with self._staging() as staging:
            self._check_room()
            files, prepared = fetch(staging), staging / "tfds"
            estimate = in_words(release.rating_count / RATINGS_A_SECOND)
            self._announce(f"preparing the tables with TFDS ({estimate}, once)")
            pace = Pace(
                release.rating_count,
                "ratings read",
                self._announce,
                then="TFDS now sorts and writes them",
            )
            tfds_tables.prepare(release, files, prepared, pace)
            tables = read_checked(release, prepared)
            self._keep(prepared)
        return tables

    def _check_room(self) -> None:
        needed = self._release.rating_count * DISK_PER_RATING
        free = shutil.disk_usage(self._cache_dir).free
        if free < needed:
            raise DataError(
                f"preparing {self._release.title} takes {needed / 1e9:.1f} GB in the cache folder "
                f"{self._cache_dir} but {free / 1e9:.1f} GB are free; make room, or set "
                "XDG_CACHE_HOME to a folder that has it"
            )

    def _keep(self, prepared: Path) -> None:
        """Moves the tables to their place, the ratings last: a directory needs both to be read."""
        if self._release.raw_sha256 is None:
            self._verified.note(tfds_tables.digest(self._release, prepared))
        for table in (self._release.movies_table, self._release.ratings_table):
            target = self._folder / table
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            (prepared / table).replace(target)

    def read_or_prepare(self, fetch: Fetch) -> RawTables:
        """Reads the tables where they are prepared, and else prepares them."""
        try:
            return self.read()
        except DataError:
            return self.prepare(fetch)
