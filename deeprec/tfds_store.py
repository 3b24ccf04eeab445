"""Genuine tables in TFDS data directories, and one such directory of our own in the cache folder.

Files from elsewhere are prepared into our own, so that new versions of the libraries find the data
without a network.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deeprec import tfds_tables
from deeprec.cache import Announce, unwritable
from deeprec.errors import DataError
from deeprec.movielens import RawTables, check_tables


def read_directory(data_dir: Path) -> RawTables:
    """Reads the tables from a TFDS data directory and checks that they are the genuine ones.

    Raises:
        DataError: it does not hold them, or others.
    """
    tables = tfds_tables.read(data_dir)
    try:
        return check_tables(tables)
    except DataError as error:
        raise DataError(f"{data_dir}: {error}") from error


class OwnDirectory:
    """The TFDS data directory in the cache folder; used under the lock of that folder.

    Args:
        cache_dir: the cache folder.
        announce: told what takes long.
    """

    def __init__(self, cache_dir: Path, announce: Announce) -> None:
        self._folder = cache_dir / "tensorflow_datasets"
        self._staging = cache_dir / "staging"
        self._announce = announce

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """The empty staging folder, removed afterwards: by the next process if this one dies."""
        try:
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging.mkdir()
            yield self._staging
        except OSError as error:
            raise DataError(unwritable(self._staging.parent, error)) from error
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)

    def read(self) -> RawTables:
        """Reads the genuine tables, if they are there."""
        return read_directory(self._folder)

    def prepare(self, files: Mapping[str, bytes]) -> RawTables:
        """Prepares the tables from the published files, and keeps them if they are genuine."""
        with self.staging() as folder:
            published, prepared = folder / "files", folder / "tfds"
            published.mkdir()
            for name, content in files.items():
                (published / name).write_bytes(content)
            self._announce("preparing the tables with TFDS (about 20 seconds, once)")
            tfds_tables.prepare(published, prepared, self._report)
            tables = read_directory(prepared)
            shutil.rmtree(self._folder, ignore_errors=True)
            prepared.replace(self._folder)
        return tables

    def read_or_prepare(self, files: Mapping[str, bytes]) -> RawTables:
        """Reads the tables where they are prepared, and else prepares them."""
        try:
            return self.read()
        except DataError:
            return self.prepare(files)

    def _report(self, rows: int) -> None:
        self._announce(f"{rows:,} ratings prepared")
