"""From the raw tables to the prepared arrays: what is computed, and what decides the result.

The prepared form is a cache entry: arrays by name, one of which, ``about``, is the rest as JSON.
Only this module writes it and only :mod:`deeprec.dataset` reads it.
"""

import hashlib
import importlib.metadata
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from deeprec import features
from deeprec.cache import Entry
from deeprec.movielens import RawTables
from deeprec.quiet_tensorflow import import_tensorflow

FORMAT_VERSION = 1
"""Raised whenever prepared arrays of an older version must not be read."""

LIBRARIES = ("keras", "tensorflow", "tensorflow-datasets")
"""The libraries whose versions decide what the prepared arrays are."""

SHUFFLE_BUFFER = 100_000
SHUFFLE_SEED = 42


def fingerprint_of(raw_sha256: str) -> str:
    """The fingerprint of what these libraries make of the raw tables with this digest."""
    decisive = {
        "raw": raw_sha256,
        "features": features.RECIPE,
        "shuffle": [SHUFFLE_BUFFER, SHUFFLE_SEED],
        "libraries": library_versions(),
        "format": FORMAT_VERSION,
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """The versions of the libraries that compute the features, without importing them."""
    return {name: _version(name) for name in LIBRARIES}


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def prepare(name: str, tables: RawTables, source: str) -> Entry:
    """Computes the prepared arrays; takes about 10 seconds.

    Args:
        name: the name of the data set.
        tables: the raw tables.
        source: in words, where they came from.

    Returns:
        Arrays ``users.FEATURE``, ``movies.FEATURE``, ``interactions.COLUMN``, ``tutorial_order``
        and ``about``; the source is a note beside them, so that equal data has equal arrays.
    """
    computed = features.build_features(tables)
    about = {
        "name": name,
        "users": computed.users.schema.to_config(),
        "movies": computed.movies.schema.to_config(),
        "titles": _titles(tables),
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        **{f"users.{name}": column for name, column in computed.users.columns.items()},
        **{f"movies.{name}": column for name, column in computed.movies.columns.items()},
        "interactions.user_id": tables.user_id,
        "interactions.movie_id": tables.movie_id,
        "interactions.rating": computed.rating,
        "interactions.timestamp": tables.timestamp,
        "tutorial_order": tutorial_order(len(tables)),
        "about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
    }
    return Entry(arrays, {"source": source, "libraries": library_versions()})


def _titles(tables: RawTables) -> list[str]:
    titles = [""] * (tables.movie_count + 1)
    for movie in tables.movies:
        titles[movie.id] = movie.title
    return titles


def tutorial_order(rows: int) -> npt.NDArray[np.int64]:
    """The order in which the tutorial's shuffle yields the row numbers, int64 ``[rows]``."""
    numbers = import_tensorflow().data.Dataset.range(rows)
    shuffled = numbers.shuffle(SHUFFLE_BUFFER, seed=SHUFFLE_SEED, reshuffle_each_iteration=False)
    return next(shuffled.batch(rows).as_numpy_iterator())
