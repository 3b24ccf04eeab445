"""The raw tables as TensorFlow Datasets (TFDS) keeps them: preparing and reading a data directory.

A TFDS data directory holds the prepared tables under ``movielens/100k-ratings`` and
``movielens/100k-movies``. TFDS fixes the order of the rows there, and with it the split.
"""

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deeprec.errors import DataError
from deeprec.movielens import RATING_COLUMNS, Movie, RawTables
from deeprec.quiet_tensorflow import import_tensorflow, import_tfds

RATINGS = "movielens/100k-ratings"
MOVIES = "movielens/100k-movies"

REPORT_EVERY = 25_000


def has_tables(data_dir: Path) -> bool:
    """Whether the TFDS data directory claims to hold both tables. Imports nothing."""
    return all((data_dir / table).is_dir() for table in (RATINGS, MOVIES))


def digest(data_dir: Path) -> str:
    """Hexadecimal SHA-256 of the files of both tables. Imports nothing.

    Raises:
        DataError: a file cannot be read.
    """
    whole = hashlib.sha256()
    try:
        for table in (MOVIES, RATINGS):
            for path in sorted(path for path in (data_dir / table).rglob("*") if path.is_file()):
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                whole.update(f"{path.relative_to(data_dir)} {content}\n".encode())
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
    return whole.hexdigest()


def prepare(files: Path, data_dir: Path, report: Callable[[int], None]) -> None:
    """Lets TFDS prepare both tables from the published files; takes about 20 seconds.

    Args:
        files: the folder that holds ``u.data``, ``u.item`` and ``u.user``.
        data_dir: the TFDS data directory to write to.
        report: told every ``REPORT_EVERY`` ratings how many are prepared.

    Raises:
        DataError: TFDS cannot prepare them.
    """
    import_tensorflow()
    try:
        for table in (MOVIES, RATINGS):
            _prepare(table, files, data_dir, report)
    except Exception as error:  # TFDS and TensorFlow share no base class for what goes wrong
        raise DataError(f"TFDS cannot prepare the tables: {_reason(error)}") from error


def _prepare(table: str, files: Path, data_dir: Path, report: Callable[[int], None]) -> None:
    tfds = import_tfds()
    settings = tfds.download.DownloadConfig(try_download_gcs=False)
    builder = tfds.builder(table, data_dir=str(data_dir))
    _read_examples_from(builder, files, report)
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints its progress there
        builder.download_and_prepare(
            download_dir=str(files.parent / "downloads"), download_config=settings
        )


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _read_examples_from(builder: Any, files: Path, report: Callable[[int], None]) -> None:
    """Points a builder at files that are there, in place of its download.

    A subclass would do it too, but TFDS refuses a second class named ``movielens``, and a class
    of another name would be another data set.
    """

    def split_generators(_manager: Any) -> dict[str, Any]:
        return {"train": _counted(builder._generate_examples(str(files)), report)}

    builder._split_generators = split_generators


def _counted(examples: Iterable[Any], report: Callable[[int], None]) -> Iterator[Any]:
    for count, example in enumerate(examples, start=1):
        yield example
        if count % REPORT_EVERY == 0:
            report(count)


def read(data_dir: Path) -> RawTables:
    """Reads both tables from a TFDS data directory.

    Raises:
        DataError: it does not hold them, or they cannot be read.
    """
    if not has_tables(data_dir):
        raise DataError(f"{data_dir} does not hold {RATINGS} and {MOVIES}")
    import_tensorflow()
    try:
        return RawTables(**_read_ratings(data_dir), **_read_movies(data_dir))
    except Exception as error:  # as above
        raise DataError(
            f"{data_dir} cannot be read as a TFDS data directory: {_reason(error)}"
        ) from error


def _read_ratings(data_dir: Path) -> dict[str, Any]:
    tfds = import_tfds()
    builder = tfds.builder(RATINGS, data_dir=str(data_dir))
    needed = tfds.decode.PartialDecoding(dict.fromkeys(RATING_COLUMNS, True))
    rows = builder.as_dataset(split="train", shuffle_files=False, decoders=needed)
    whole = rows.batch(builder.info.splits["train"].num_examples)
    columns = next(iter(tfds.as_numpy(whole)))
    # Ids are text in TFDS: Python bytes in an object array, which NumPy converts by int().
    return {name: np.asarray(columns[name]).astype(dtype) for name, dtype in RATING_COLUMNS.items()}


def _read_movies(data_dir: Path) -> dict[str, Any]:
    tfds = import_tfds()
    builder = tfds.builder(MOVIES, data_dir=str(data_dir))
    rows = tfds.as_numpy(builder.as_dataset(split="train", shuffle_files=False))
    return {
        "movies": tuple(
            Movie(
                id=int(row["movie_id"]),
                title=row["movie_title"].decode(),
                genres=tuple(int(genre) for genre in row["movie_genres"]),
            )
            for row in rows
        ),
        "genre_names": tuple(builder.info.features["movie_genres"].feature.names),
    }
