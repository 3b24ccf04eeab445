"""Genuine tables in TFDS data directories, and one such directory of our own in the cache folder.

Files from elsewhere are prepared into our own, so that new versions of the libraries find the data
without a network. TFDS does not write the same bytes twice, so there is no checksum of a directory
to know beforehand: a note in the cache folder says that some bytes held the genuine tables, or were
prepared here from the published archive.
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

Fetch = Callable[[Path], object]
"""Given an empty staging folder, puts the verified published files into ``files`` in there."""

RATINGS_A_SECOND = 5_000
"""What TFDS prepares at least, on one core of a common machine; for the estimate at the start."""

DISK_PER_RATING = 300
"""Bytes in the cache folder while a rating is prepared: its line, TFDS's rows and their buckets.
Measured: 187 bytes of them stay."""


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


class TfdsStore:
    """What the cache folder knows of TFDS data directories; used under the lock of that folder.

    Args:
        release: the data set.
        cache_dir: the cache folder.
        announce: called with what takes long.
    """

    def __init__(self, release: Release, cache_dir: Path, announce: Announce) -> None:
        self._release = release
        self._cache_dir = cache_dir
        self._folder = cache_dir / "tensorflow_datasets"
        self._announce = announce

    def knows(self, tables_digest: str) -> bool:
        """Whether there is a note for files with this digest."""
        return self._note(tables_digest).exists()

    def note(self, tables_digest: str) -> None:
        """Leaves a note for files with this digest.

        Raises:
            OSError: the cache folder cannot be written to.
        """
        note = self._note(tables_digest)
        note.parent.mkdir(exist_ok=True)
        note.touch()

    def _note(self, tables_digest: str) -> Path:
        return self._cache_dir / "verified" / f"{tables_digest}-{self._release.identity[:16]}"

    def read(self, data_dir: Path | None = None) -> RawTables:
        """Reads the tables from a TFDS data directory that can be verified, by default our own.

        Raises:
            DataError: it does not hold them, holds others, or holds some whose digest is not
                published and that are not known to come from the published archive.
        """
        release, folder = self._release, data_dir or self._folder
        if (
            release.raw_sha256 is None
            and tfds_tables.has_tables(release, folder)
            and not self.knows(tfds_tables.digest(release, folder))
        ):
            raise DataError(
                f"{folder} was not prepared here from {release.archive.archive.name}, so its "
                "tables cannot be verified; name it with --data-dir to use them all the same"
            )
        return read_checked(release, folder)

    def prepare(self, fetch: Fetch) -> RawTables:
        """Prepares the tables from the published files, and keeps them if they are genuine.

        Raises:
            DataError: they cannot be fetched or prepared, or there is no room for them.
        """
        count = self._release.rating_count
        with self._staging() as staging:
            self._check_room()
            fetch(staging)
            estimate = in_words(count / RATINGS_A_SECOND)
            self._announce(f"preparing the tables with TFDS ({estimate}, once)")
            then = "TFDS now sorts and writes them"
            pace = Pace(count, "ratings read", self._announce, then=then)
            prepared = staging / "tfds"
            tfds_tables.prepare(self._release, staging / "files", prepared, pace)
            tables = read_checked(self._release, prepared)
            self._keep(prepared)
        return tables

    def read_or_prepare(self, fetch: Fetch) -> RawTables:
        """Reads the tables where they are prepared, and else prepares them."""
        try:
            return self.read()
        except DataError:
            return self.prepare(fetch)

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
            self.note(tfds_tables.digest(self._release, prepared))
        for table in self._release.tables:
            target = self._folder / table
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            (prepared / table).replace(target)
