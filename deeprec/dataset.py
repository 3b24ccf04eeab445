"""The data set that everything else trains and measures on, its splits, and how to load it."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs

from deeprec.cache import Entry, open_folder, read_or_make, read_sound
from deeprec.config import DataConfig
from deeprec.errors import DataError
from deeprec.movielens import RAW_SHA256
from deeprec.preparation import fingerprint_of, prepare
from deeprec.sources import default_sources, read_first, source_at
from deeprec.tables import FeatureSchema, FeatureTable, Interactions

RAW_DIGESTS = {"movielens/100k": RAW_SHA256}
"""What tells the raw tables of a data set from any others, by its name."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Everything known about the interactions, the test rows included.

    Attributes:
        name: as TensorFlow Datasets names it, without the table.
        users: a row a user; row 0 belongs to nobody and is all zeros.
        movies: a row a movie; row 0 has an empty title and no genre.
        interactions: every rating, in the order in which TFDS yields them.
        tutorial_order: int64 ``[n]``, the tutorial's one shuffle of the interactions.
        titles: by movie id; the first is empty.
        fingerprint: hexadecimal SHA-256 of all that decides the contents.
        source: in words, where the raw data came from.
    """

    name: str
    users: FeatureTable
    movies: FeatureTable
    interactions: Interactions
    tutorial_order: npt.NDArray[np.int64]
    titles: tuple[str, ...]
    fingerprint: str
    source: str


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """All that a trial may see: there is no way from here to the test rows.

    Attributes:
        users: a row a user.
        movies: a row a movie; the candidates.
        train: the rows to train on.
        validation: the rows to select by; None where nothing is selected any more.
    """

    users: FeatureTable
    movies: FeatureTable
    train: Interactions
    validation: Interactions | None


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The interactions, divided: every one of them is in exactly one part."""

    train: Interactions
    validation: Interactions
    test: Interactions


def split(dataset: Dataset, config: DataConfig) -> Splits:
    """Divides the interactions.

    The rows are ordered (``random``: the tutorial's shuffle; ``temporal``: by timestamp, equal
    ones as they come); then the last ``test_rows`` test, and the ``validation_rows`` before
    them validate.

    Raises:
        DataError: no row would be left to train on.
    """
    rows = len(dataset.interactions)
    held_out = config.validation_rows + config.test_rows
    if held_out >= rows:
        raise DataError(
            f"validation_rows and test_rows must leave rows of {rows:,} to train on but got "
            f"{config.validation_rows:,} and {config.test_rows:,}"
        )
    if config.split == "temporal":
        order = np.argsort(dataset.interactions.timestamp, kind="stable")
    else:
        order = dataset.tutorial_order
    train, validation, test = np.split(order, [rows - held_out, rows - config.test_rows])
    ratings = dataset.interactions
    return Splits(train=ratings[train], validation=ratings[validation], test=ratings[test])


def default_cache_dir() -> Path:
    """Where prepared data is kept: the user's cache folder, as the platform names it."""
    return platformdirs.user_cache_path("deeprec")


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def load_dataset(
    config: DataConfig,
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    announce: Callable[[str], None] = _to_stderr,
) -> Dataset:
    """Loads the data set, and prepares it the first time (about 40 seconds).

    From prepared arrays it takes a tenth of a second and does not import TensorFlow. Otherwise
    the raw data is looked for in the order of :func:`deeprec.sources.default_sources`.

    Args:
        config: names the data set.
        data_dir: where the raw data is: ``ml-100k.zip``, a folder with it, the extracted folder
            or its parent, or a TFDS data directory. It is verified, and nothing else is tried.
        cache_dir: where prepared data is kept; :func:`default_cache_dir` if not given.
        announce: told in one line what is done and where the data came from.

    Raises:
        DataError: ``data_dir`` is missing or damaged, or there is no way to get the data; the
            message names every way and why it failed.
    """
    fingerprint = _fingerprint(config)
    folder = open_folder(cache_dir or default_cache_dir())

    def say(line: str) -> None:
        announce(f"MovieLens 100K: {line}")

    given = source_at(data_dir, folder, say) if data_dir else None

    def make() -> Entry:
        sources = (given,) if given else default_sources(folder, say)
        tables, source = read_first(sources, say)
        say("computing the features (about 10 seconds, once)")
        return prepare(config.dataset, tables, source)

    entry = read_or_make(folder, fingerprint, make, say)
    source = given.name if given else _source_of(entry)
    return _from_arrays(entry.arrays, fingerprint, source)


def load_prepared(config: DataConfig, *, cache_dir: Path | None = None) -> Dataset | None:
    """Loads the data set if it lies prepared in the cache; writes nothing, fetches nothing.

    Args:
        config: names the data set.
        cache_dir: where prepared data is kept; :func:`default_cache_dir` if not given.

    Returns:
        The data set, or None where :func:`load_dataset` would have to prepare it.
    """
    fingerprint = _fingerprint(config)
    entry = read_sound(cache_dir or default_cache_dir(), fingerprint)
    return None if entry is None else _from_arrays(entry.arrays, fingerprint, _source_of(entry))


def _fingerprint(config: DataConfig) -> str:
    """The fingerprint of the genuine data set, known before any of it is read."""
    if config.dataset not in RAW_DIGESTS:
        raise DataError(
            f"dataset must be one of {', '.join(RAW_DIGESTS)} but got {config.dataset!r}"
        )
    return fingerprint_of(RAW_DIGESTS[config.dataset])


def _source_of(entry: Entry) -> str:
    return str(entry.notes["source"])


def _from_arrays(arrays: Mapping[str, npt.NDArray[Any]], fingerprint: str, source: str) -> Dataset:
    """The data set in arrays that :func:`deeprec.preparation.prepare` computed."""
    about = json.loads(arrays["about"].tobytes())
    columns = {field.name: arrays[f"interactions.{field.name}"] for field in fields(Interactions)}
    return Dataset(
        name=about["name"],
        users=_table("users", about["users"], arrays),
        movies=_table("movies", about["movies"], arrays),
        interactions=Interactions(**columns),
        tutorial_order=arrays["tutorial_order"],
        titles=tuple(about["titles"]),
        fingerprint=fingerprint,
        source=source,
    )


def _table(
    side: str, schema: list[dict[str, Any]], arrays: Mapping[str, npt.NDArray[Any]]
) -> FeatureTable:
    features = FeatureSchema.from_config(schema)
    names = [feature.name for feature in features.features]
    return FeatureTable(features, {name: arrays[f"{side}.{name}"] for name in names})
