"""The raw tables as TensorFlow Datasets (TFDS) keeps them: preparing and reading a data directory.

A TFDS data directory holds the prepared tables of a release in a folder each, such as
``movielens/100k-ratings`` and ``movielens/100k-movies``. TFDS fixes the order of the rows there.
"""

import contextlib
import hashlib
import io
import locale
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from deeprec.errors import DataError
from deeprec.sources.movielens import RATING_COLUMNS, Movie, RawTables
from deeprec.sources.quiet_tensorflow import import_tensorflow, import_tfds
from deeprec.sources.releases import Release

REPORT_EVERY = 1_000
"""Ratings; a report costs nothing beside preparing these."""

READ_BATCH = 50_000
"""Ratings that are held as TensorFlow's tensors at a time."""


def has_tables(release: Release, data_dir: Path) -> bool:
    """Whether the TFDS data directory claims to hold both tables. Imports nothing."""
    return all((data_dir / table).is_dir() for table in release.tables)


def digest(release: Release, data_dir: Path) -> str:
    """Hexadecimal SHA-256 of the files of both tables. Imports nothing.

    Raises:
        DataError: a file cannot be read.
    """
    whole = hashlib.sha256()
    try:
        for table in release.tables:
            for path in sorted(path for path in (data_dir / table).rglob("*") if path.is_file()):
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                whole.update(f"{path.relative_to(data_dir)} {content}\n".encode())
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
    return whole.hexdigest()


def prepare(release: Release, files: Path, data_dir: Path, report: Callable[[int], None]) -> None:
    """Lets TFDS prepare both tables from the published files in a folder.

    TFDS does that row by row, in Python: about 5,000 to 8,000 ratings a second. It keeps up to
    1 GB of them in memory, and the rest in files beside the tables, until it sorts them.

    ``report`` is called every ``REPORT_EVERY`` ratings, and at the end, with how many are read.

    Raises:
        DataError: TFDS cannot prepare them.
    """
    # TFDS names the encoding of the older files itself; the newer are read in the locale's.
    encoding = locale.getpreferredencoding(False)
    if release.archive.encoding == "utf-8" and encoding.lower().replace("-", "") != "utf8":
        raise DataError(
            f"the files of {release.title} are in UTF-8 but this Python reads text as {encoding}; "
            "set PYTHONUTF8=1"
        )
    import_tensorflow()
    try:
        _prepare(release.movies_table, files, data_dir, lambda _: None)
        _prepare(release.ratings_table, files, data_dir, report)
    except Exception as error:  # TFDS and TensorFlow share no base class for what goes wrong
        raise DataError(f"TFDS cannot prepare the tables: {_reason(error)}") from error


def _prepare(table: str, files: Path, data_dir: Path, report: Callable[[int], None]) -> None:
    tfds = import_tfds()
    builder = tfds.builder(table, data_dir=str(data_dir))
    stdout = sys.stdout

    # Instead of its download. A subclass would do it too, but TFDS refuses a second class named
    # ``movielens``, and a class of another name would be another data set.
    def split_generators(_manager: Any) -> dict[str, Any]:
        return {"train": _counted(builder._generate_examples(str(files)), report, stdout)}

    builder._split_generators = split_generators
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints its progress there
        builder.download_and_prepare(
            download_dir=str(files.parent / "downloads"),
            download_config=tfds.download.DownloadConfig(try_download_gcs=False),
        )


def _counted(
    examples: Iterable[Any], report: Callable[[int], None], stdout: TextIO
) -> Iterator[Any]:
    """The examples; the reports, which may print, go to the given standard output."""
    count = 0
    for count, example in enumerate(examples, start=1):
        yield example
        if count % REPORT_EVERY == 0:
            with contextlib.redirect_stdout(stdout):
                report(count)
    if count % REPORT_EVERY:
        with contextlib.redirect_stdout(stdout):
            report(count)


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def read(release: Release, data_dir: Path) -> RawTables:
    """Reads both tables from a TFDS data directory.

    Raises:
        DataError: it does not hold them, or they cannot be read.
    """
    if not has_tables(release, data_dir):
        raise DataError(
            f"{data_dir} does not hold {release.ratings_table} and {release.movies_table}"
        )
    import_tensorflow()
    try:
        return RawTables(**_read_ratings(release, data_dir), **_read_movies(release, data_dir))
    except Exception as error:  # as above
        raise DataError(
            f"{data_dir} cannot be read as a TFDS data directory: {_reason(error)}"
        ) from error


def _rows(builder: Any, **options: Any) -> Any:
    """The rows of a table, file after file: their order does not depend on how many there are."""
    config = import_tfds().ReadConfig(interleave_cycle_length=1)
    return builder.as_dataset(split="train", shuffle_files=False, read_config=config, **options)


def _read_ratings(release: Release, data_dir: Path) -> dict[str, Any]:
    """The columns of the ratings, read a batch at a time into arrays of their final types."""
    tfds = import_tfds()
    builder = tfds.builder(release.ratings_table, data_dir=str(data_dir))
    types = {**RATING_COLUMNS, **release.user_columns}
    rows = _rows(builder, decoders=tfds.decode.PartialDecoding(dict.fromkeys(types, True)))
    count = builder.info.splits["train"].num_examples
    columns: dict[str, npt.NDArray[Any]] = {
        name: np.empty(count, dtype) for name, dtype in types.items()
    }
    filled = 0
    for batch in rows.batch(READ_BATCH).map(_numbers).as_numpy_iterator():
        end = filled + len(batch["user_id"])
        for name, column in columns.items():
            column[filled:end] = batch[name]
        filled = end
    user_columns = {name: columns.pop(name) for name in release.user_columns}
    return {**columns, "user_columns": user_columns}


def _numbers(batch: dict[str, Any]) -> dict[str, Any]:
    """Ids are text in TFDS: TensorFlow makes numbers of them, without a Python object each."""
    tf = import_tensorflow()
    return {
        name: tf.strings.to_number(column, tf.int32) if column.dtype == tf.string else column
        for name, column in batch.items()
    }


def _read_movies(release: Release, data_dir: Path) -> dict[str, Any]:
    tfds = import_tfds()
    builder = tfds.builder(release.movies_table, data_dir=str(data_dir))
    return {
        "movies": tuple(
            Movie(
                int(row["movie_id"]),
                row["movie_title"].decode(),
                tuple(map(int, row["movie_genres"])),
            )
            for row in tfds.as_numpy(_rows(builder))
        ),
        "genre_names": tuple(builder.info.features["movie_genres"].feature.names),
    }
