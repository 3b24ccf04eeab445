"""Data of one's own as a data set: prepared the first time, then read from the cache."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from deeprec.data.cache import Entry, open_folder, read_or_make
from deeprec.data.dataset import (
    Dataset,
    OwnData,
    default_cache_dir,
    source_of,
    table_of,
    to_stderr,
    user_cache_dir,
)
from deeprec.data.tables import Interactions
from deeprec.events.description import DataDescription
from deeprec.events.preparation import fingerprint_of, prepare


def load_own(
    described: DataDescription,
    folder: Path,
    *,
    cache_dir: Path | None = None,
    announce: Callable[[str], None] = to_stderr,
) -> Dataset:
    """Loads data of one's own, and prepares it the first time.

    Args:
        described: its files, their columns, and what they mean.
        folder: what paths are relative to.
        cache_dir: where prepared data is kept; :func:`default_cache_dir` if not given.
        announce: called with what is done and found.

    Raises:
        DataError: a file is not there, or something in it is not as it must be.
    """
    cache = open_folder(cache_dir or default_cache_dir())

    def say(line: str) -> None:
        announce(f"{described.name}: {line}")

    fingerprint = fingerprint_of(described, folder)

    def make() -> Entry:
        say("reading the files and computing the features (once)")
        return prepare(described, folder, say)

    entry = read_or_make(cache, fingerprint, make, say, usual=cache_dir or user_cache_dir())
    return _own_from_arrays(entry.arrays, fingerprint, source_of(entry))


def _own_from_arrays(
    arrays: Mapping[str, npt.NDArray[Any]], fingerprint: str, source: str
) -> Dataset:
    """The data set in arrays that :func:`deeprec.events.preparation.prepare` computed."""
    about = json.loads(arrays["about"].tobytes())
    columns = ("user", "item", "label", "time", "relevant")
    rows = Interactions(*(arrays[f"interactions.{name}"] for name in columns))
    train_end, validation_end, _ = arrays["ends"].tolist()
    lowest, highest = about["labels"]
    return Dataset(
        name=about["name"],
        users=table_of("users", about["users"], arrays),
        movies=table_of("items", about["items"], arrays),
        user_ids=arrays["user_ids"],
        movie_ids=arrays["item_ids"],
        interactions=rows,
        tutorial_order=None,
        titles=tuple(about["titles"]),
        fingerprint=fingerprint,
        source=source,
        own=OwnData(
            ends=(train_end, validation_end),
            repeats=about["repeats"],
            encodings=about["user_encodings"],
            labels=(lowest, highest),
            item_encodings=about["item_encodings"],
            left_out=about.get("left_out", {}),
        ),
    )
