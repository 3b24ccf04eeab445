"""The data set that everything else trains and measures on, its splits, and how to load it."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs

from deeprec.config import DataConfig
from deeprec.data.cache import (
    Entry,
    is_own,
    is_writable,
    open_folder,
    read_or_make,
    read_sound,
    temporary_folder,
)
from deeprec.data.preparation import COLUMNS, fingerprint_of, order_of, prepare, seconds_of
from deeprec.data.profiles import ProfileEncoder
from deeprec.data.tables import FeatureSchema, FeatureTable, IntArray, Interactions
from deeprec.errors import DataError
from deeprec.sources.pace import in_words
from deeprec.sources.raw_tables import default_sources, read_first, source_at
from deeprec.sources.releases import Release, release_named


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Everything known about the interactions, the test rows included.

    Attributes:
        name: as TensorFlow Datasets names it, without the table.
        users: a row a user; row 0 is reserved and all zeros.
        movies: a row a movie; row 0 has an empty title and no genre.
        user_ids: the published id of each row; 0 for row 0.
        movie_ids: the same.
        interactions: every rating, by the rows of the tables.
        tutorial_order: int ``[n]``, the tutorial's one shuffle of the interactions, which are then
            in the order in which TFDS yields them; None where they are shuffled themselves.
        titles: by row of the movie table; the first is empty.
        fingerprint: hexadecimal SHA-256 of all that decides the contents.
        source: in words, where the raw data came from.
        profiles: computes the features of users who are not in the table; None where the data set
            says nothing of its users.
        own: what is so of data of one's own alone; None for MovieLens.
    """

    name: str
    users: FeatureTable
    movies: FeatureTable
    user_ids: IntArray
    movie_ids: IntArray
    interactions: Interactions
    tutorial_order: npt.NDArray[np.int64] | None
    titles: tuple[str, ...]
    fingerprint: str
    source: str
    profiles: ProfileEncoder | None = None
    own: "OwnData | None" = None

    @property
    def reserved(self) -> int:
        """How many of the first rows of a table are no users and no items."""
        return 1 if self.own is None else 2

    @property
    def repeats(self) -> bool:
        """Whether an item counts, and is recommended, where the user has it already."""
        return self.own is not None and self.own.repeats

    def training(
        self, rows: Interactions, validation: Interactions | None = None
    ) -> "TrainingData":
        """Rows to train on, and others to validate on, if any."""
        return TrainingData(
            users=self.users,
            movies=self.movies,
            train=rows,
            validation=validation,
            reserved=self.reserved,
            repeats=self.repeats,
            names=replace(self, interactions=self.interactions[:0], tutorial_order=None),
        )


@dataclass(frozen=True, kw_only=True)
class OwnData:
    """What data of one's own has more.

    Attributes:
        ends: where the training rows and the validation rows of the interactions end.
        repeats: whether an item may be recommended again to a user who has it.
        encodings: how the features of users are encoded, as plain values, see
            :class:`deeprec.events.encoding.Encoding`.
        labels: the lowest and the highest label as the user knows it.
        item_encodings: the same as the users', of the features of items.
        left_out: rows of the log that are in no part, by reason: ``label`` (a kind of event without
            a weight), ``unknown`` (a user or an item that is in no table), ``duplicates``,
            ``core``; empty where an earlier version prepared the data.
    """

    ends: tuple[int, int]
    repeats: bool
    encodings: Sequence[Mapping[str, Any]]
    labels: tuple[float, float] = (0.0, 1.0)
    item_encodings: Sequence[Mapping[str, Any]] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """All that a trial may see: there is no way from here to the test rows.

    All movies are candidates, but for the reserved first rows; ``validation`` is None where nothing
    is selected any more. With ``repeats`` a user's own items count again. ``names`` is what a
    recommender is made with beside a model: the data set without its interactions.
    """

    users: FeatureTable
    movies: FeatureTable
    train: Interactions
    validation: Interactions | None
    reserved: int = 1
    repeats: bool = False
    names: Dataset | None = None

    def __post_init__(self) -> None:
        if self.names is not None and len(self.names.interactions):
            raise ValueError("names must hold no interactions: test rows might be among them")


@dataclass(frozen=True)
class Splits:
    """The interactions, divided: every one of them is in exactly one part."""

    train: Interactions
    validation: Interactions
    test: Interactions

    @cached_property
    def before_test(self) -> Interactions:
        """The rows that a model may learn from before it is tested."""
        return self.train.followed_by(self.validation)


def split(dataset: Dataset, config: DataConfig | None = None) -> Splits:
    """Divides the interactions; data of one's own is divided already, and needs no configuration.

    The rows are ordered (``random``: the tutorial's shuffle, or as they come where they are
    shuffled already, which copies nothing; ``temporal``: by timestamp, equal ones as they come);
    then the last ``test_rows`` test, and the ``validation_rows`` before them validate.

    Raises:
        DataError: no row would be left to train on.
    """
    if dataset.own is not None:
        own_ends = (0, *dataset.own.ends, len(dataset.interactions))
        return Splits(*(dataset.interactions[slice(*part)] for part in pairwise(own_ends)))
    config = config or DataConfig()
    rows = len(dataset.interactions)
    held_out = config.validation_rows + config.test_rows
    if held_out >= rows:
        raise DataError(
            f"validation_rows and test_rows must leave rows of {rows:,} to train on but got "
            f"{config.validation_rows:,} and {config.test_rows:,}"
        )
    ratings = dataset.interactions
    order = dataset.tutorial_order
    if config.split == "temporal":
        order = order_of(ratings.timestamp)
    ends = (0, rows - held_out, rows - config.test_rows, rows)
    train, validation, test = (
        ratings[slice(*part) if order is None else order[slice(*part)]] for part in pairwise(ends)
    )
    return Splits(train=train, validation=validation, test=test)


def user_cache_dir() -> Path:
    """The user's cache folder, as the platform names it."""
    return platformdirs.user_cache_path("deeprec")


def default_cache_dir() -> Path:
    """Where prepared data is kept: the user's cache folder, if it can be written to.

    If not, as in a container that another user runs, it is a folder for this user alone among the
    temporary files. What lies prepared in the former is read all the same.
    """
    usual = user_cache_dir()
    if not is_writable(usual) and (temporary := temporary_folder()) and is_own(temporary):
        return temporary
    return usual


def to_stderr(line: str) -> None:
    """Prints a line beside the output."""
    sys.stderr.write(f"{line}\n")


def load_dataset(
    config: DataConfig,
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    announce: Callable[[str], None] = to_stderr,
    release: Release | None = None,
) -> Dataset:
    """Loads the data set, and prepares it the first time (about 40 seconds for 100,000 ratings).

    From prepared arrays it takes a tenth of a second, or a few seconds for 25 million ratings, and
    does not import TensorFlow. Otherwise the raw data is looked for in the order of
    :func:`deeprec.sources.raw_tables.default_sources`.

    Args:
        config: names the data set.
        data_dir: where the raw data is: the published archive, a folder with it, or a TFDS data
            directory; for ``movielens/100k`` also the extracted folder or its parent. It is
            verified, and nothing else is tried.
        cache_dir: where prepared data is kept; :func:`default_cache_dir` if not given.
        announce: called with what is done and where the data came from.
        release: what was published under that name; the known one if not given.

    Raises:
        DataError: ``data_dir`` is missing or damaged, or there is no way to get the data; the
            message names every way and why it failed.
    """
    known = release or release_named(config.dataset)
    usual = cache_dir or user_cache_dir()
    folder = open_folder(cache_dir or default_cache_dir())

    def say(line: str) -> None:
        announce(f"{known.title}: {line}")

    given = source_at(known, data_dir, folder, say) if data_dir else None
    fingerprint = fingerprint_of(known, given.identity if given else known.identity)

    def make() -> Entry:
        sources = (given,) if given else default_sources(known, folder, say)
        tables, source = read_first(known, sources, say)
        say(f"computing the features ({in_words(seconds_of(known))}, once)")
        return prepare(known, tables, source)

    entry = read_or_make(folder, fingerprint, make, say, usual=usual)
    source = given.name if given else source_of(entry)
    return _from_arrays(entry.arrays, fingerprint, source)


def load_prepared(config: DataConfig, *, cache_dir: Path | None = None) -> Dataset | None:
    """Loads the data set if it lies prepared in the cache, else None; fetches nothing."""
    release = release_named(config.dataset)
    fingerprint = fingerprint_of(release, release.identity)
    for folder in (cache_dir,) if cache_dir else (user_cache_dir(), temporary_folder()):
        entry = None if folder is None else read_sound(folder, fingerprint)
        if entry is not None:
            return _from_arrays(entry.arrays, fingerprint, source_of(entry))
    return None


def source_of(entry: Entry) -> str:
    """In words, if the note is fit to be shown."""
    source = str(entry.notes.get("source", ""))
    return source if source.isprintable() and source else "an unknown source"


def _from_arrays(arrays: Mapping[str, npt.NDArray[Any]], fingerprint: str, source: str) -> Dataset:
    """The data set in arrays that :func:`deeprec.data.preparation.prepare` computed."""
    about = json.loads(arrays["about"].tobytes())
    columns = {name: arrays[f"interactions.{name}"] for name in COLUMNS}
    users = table_of("users", about["users"], arrays)
    movies = table_of("movies", about["movies"], arrays)
    return Dataset(
        name=about["name"],
        users=users,
        movies=movies,
        user_ids=arrays.get("user_ids", np.arange(users.rows, dtype=np.int32)),
        movie_ids=arrays.get("movie_ids", np.arange(movies.rows, dtype=np.int32)),
        interactions=Interactions(**columns),
        tutorial_order=arrays.get("tutorial_order"),
        titles=tuple(about["titles"]),
        fingerprint=fingerprint,
        source=source,
        profiles=ProfileEncoder.from_config(about["encodings"]) if about["encodings"] else None,
    )


def table_of(
    side: str, schema: list[dict[str, Any]], arrays: Mapping[str, npt.NDArray[Any]]
) -> FeatureTable:
    """A feature table from the arrays of one side, ``users`` or ``movies`` or ``items``."""
    features = FeatureSchema.from_config(schema)
    names = [feature.name for feature in features.features]
    return FeatureTable(features, {name: arrays[f"{side}.{name}"] for name in names})
