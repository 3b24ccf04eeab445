"""From the raw tables to the prepared arrays: what is computed, and what decides the result.

The prepared form is a cache entry: arrays by name, one of which, ``about``, is the rest as JSON.
:mod:`deeprec.data.dataset` reads it.
"""

import hashlib
import importlib.metadata
import json
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from deeprec.data import features
from deeprec.data.cache import Entry
from deeprec.sources.movielens import RawTables
from deeprec.sources.quiet_tensorflow import import_tensorflow
from deeprec.sources.releases import Release

FORMAT_VERSION = 3
"""Raised whenever prepared arrays of an older version must not be read."""

LIBRARIES = ("keras", "tensorflow", "tensorflow-datasets")
"""The libraries whose versions decide what the prepared arrays are."""

COLUMNS = ("user_id", "movie_id", "rating", "timestamp")
"""Of the interactions, as the arrays are named."""

MICROSECONDS_OF_SECOND = 1_000_000

SHUFFLE_BUFFER = 100_000
SHUFFLE_SEED = 42


def fingerprint_of(release: Release, identity: str) -> str:
    """The fingerprint of what these libraries make of the raw tables with this identity."""
    shuffle = SHUFFLE_BUFFER if release.order == "tutorial" else release.order
    decisive = {
        "raw": identity,
        "features": features.recipe_of(release),
        "shuffle": [shuffle, SHUFFLE_SEED],
        "libraries": library_versions(),
        "format": FORMAT_VERSION,
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """The versions of the libraries that compute the features, without importing them."""
    versions = dict.fromkeys(LIBRARIES, "not installed")
    for name in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def seconds_of(release: Release) -> float:
    """About how long :func:`prepare` takes: learning the features, and then mere sorting."""
    return 10 + release.rating_count / 500_000


def prepare(release: Release, tables: RawTables, source: str) -> Entry:
    """Computes the prepared arrays; takes about 40 bytes a rating beside the raw tables.

    ``source`` says in words where these came from.

    Returns:
        Arrays ``users.FEATURE``, ``movies.FEATURE``, ``interactions.COLUMN`` and ``about``;
        ``user_ids`` and ``movie_ids`` where the published ids are not the rows of the tables;
        ``tutorial_order`` where the interactions are not shuffled already. The source is a note
        beside them, so that equal data has equal arrays.
    """
    computed = features.build_features(tables, release)
    titles = {movie.id: movie.title for movie in tables.movies}
    about = {
        "name": release.name,
        "users": computed.users.schema.to_config(),
        "movies": computed.movies.schema.to_config(),
        "encodings": list(computed.encodings),
        "titles": ["", *(titles[movie] for movie in computed.movie_numbers.ids[1:].tolist())],
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        **{f"users.{name}": column for name, column in computed.users.columns.items()},
        **{f"movies.{name}": column for name, column in computed.movies.columns.items()},
        **_interactions(tables, release, computed),
        "about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
    }
    for name, numbers in {"user": computed.user_numbers, "movie": computed.movie_numbers}.items():
        if not numbers.is_identity:
            arrays[f"{name}_ids"] = numbers.ids
    return Entry(arrays, {"source": source, "libraries": library_versions()})


def _interactions(
    tables: RawTables, release: Release, computed: features.FeatureSet
) -> dict[str, npt.NDArray[Any]]:
    """The columns of the interactions, and their shuffled order where they are not in it."""
    columns: dict[str, npt.NDArray[Any]] = {
        "user_id": computed.user_numbers.rows_of("user", tables.user_id),
        "movie_id": computed.movie_numbers.rows_of("movie", tables.movie_id),
        "rating": features.rescaled(tables.user_rating, release),
        "timestamp": tables.timestamp.astype(np.uint32),
    }
    order = {}
    if release.order == "tutorial":
        order["tutorial_order"] = tutorial_order(len(tables))
    else:
        # Shuffled here, the random split is three slices later: no order and no copies to hold.
        shuffled = permutation(len(tables))
        for name in columns:
            columns[name] = columns[name][shuffled]
    return {**{f"interactions.{name}": column for name, column in columns.items()}, **order}


def tutorial_order(rows: int) -> npt.NDArray[np.int64]:
    """The order in which the tutorial's shuffle yields the row numbers, int64 ``[rows]``."""
    numbers = import_tensorflow().data.Dataset.range(rows)
    shuffled = numbers.shuffle(SHUFFLE_BUFFER, seed=SHUFFLE_SEED, reshuffle_each_iteration=False)
    return next(shuffled.batch(rows).as_numpy_iterator())


def permutation(rows: int) -> npt.NDArray[np.int64]:
    """A permutation of all row numbers, int64 ``[rows]``: a buffer would mix neighbors only.

    It sorts random numbers, as NumPy guarantees those of a seed in every version, and makes no
    such promise for its own permutations.
    """
    return np.argsort(np.random.PCG64(SHUFFLE_SEED).random_raw(rows), kind="stable")


def order_of(keys: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """``np.argsort(keys, kind="stable")``, in a sixth of the time where that can be.

    A key and its row must fit 63 bits together, as times do that are of whole seconds.
    """
    if not len(keys):
        return np.zeros(0, np.int64)
    bits = len(keys).bit_length()
    packed = keys.astype(np.int64) - int(keys.min())
    if int(packed.max()) >> (63 - bits) and not (packed % MICROSECONDS_OF_SECOND).any():
        packed //= MICROSECONDS_OF_SECOND
    if int(packed.max()) >> (63 - bits):
        return np.argsort(keys, kind="stable")
    packed <<= bits
    packed |= np.arange(len(keys))
    packed.sort()
    packed &= (1 << bits) - 1
    return packed
