"""The raw tables of MovieLens: what TFDS yields, checked against what was published."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deeprec.errors import DataError
from deeprec.sources.releases import Release


class Movie(NamedTuple):
    """One movie of the catalog; genres are indices into the genre names."""

    id: int
    title: str
    genres: tuple[int, ...]


RATING_COLUMNS: Mapping[str, np.dtype[Any]] = {
    "user_id": np.dtype(np.int32),
    "movie_id": np.dtype(np.int32),
    "user_rating": np.dtype(np.float32),
    "timestamp": np.dtype(np.int64),
}
"""The columns that the ratings of every release have, as TFDS names them."""


@dataclass(frozen=True, kw_only=True)
class RawTables:
    """The ratings and the movies, in the order in which TFDS yields them.

    Ids are as published, from 1, with gaps; ratings in stars; timestamps in seconds since 1970.

    Attributes:
        user_columns: what each rating says about its user: ``[n]`` arrays by TFDS's names.
    """

    user_id: npt.NDArray[np.int32]
    movie_id: npt.NDArray[np.int32]
    user_rating: npt.NDArray[np.float32]
    timestamp: npt.NDArray[np.int64]
    user_columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    movies: Sequence[Movie]
    genre_names: Sequence[str]

    def __post_init__(self) -> None:
        for name, column in self.rating_columns():
            dtype = RATING_COLUMNS.get(name, column.dtype)
            if column.dtype != dtype or column.shape != (len(self),):
                raise ValueError(
                    f"{name} must be {dtype} of shape {(len(self),)} "
                    f"but got {column.dtype} of shape {column.shape}"
                )

    def __len__(self) -> int:
        return len(self.user_id)

    def rating_columns(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Every column of the ratings, by name."""
        for name in RATING_COLUMNS:
            yield name, getattr(self, name)
        yield from self.user_columns.items()

    def digest(self) -> str:
        """Hexadecimal SHA-256 of all contents, the same on every machine."""
        digest = hashlib.sha256()
        for name, values in self.rating_columns():
            column = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
            digest.update(f"{name} {column.dtype.str} {column.shape}\n".encode())
            digest.update(column.tobytes())
        catalog = [[movie.id, movie.title, list(movie.genres)] for movie in self.movies]
        digest.update(json.dumps([catalog, list(self.genre_names)]).encode())
        return digest.hexdigest()


def check_tables(tables: RawTables, release: Release) -> RawTables:
    """The tables, if they are those of the release, as far as that can be known.

    Where the digest of the tables is known, nothing else passes. Elsewhere the counts must be
    the published ones and the ratings in their range.

    Raises:
        DataError: they are others.
    """
    if release.raw_sha256 is not None:
        _check("SHA-256", release, release.raw_sha256, tables.digest())
        return tables
    _check("ratings", release, release.rating_count, len(tables))
    _check("movies", release, release.movie_count, len({movie.id for movie in tables.movies}))
    _check("users", release, release.user_count, len(np.unique(tables.user_id)))
    lowest, highest = release.stars
    found = (float(tables.user_rating.min()), float(tables.user_rating.max()))
    if not lowest <= found[0] <= found[1] <= highest:
        raise DataError(
            f"the tables are not those of {release.title}: ratings must lie in {lowest} to "
            f"{highest} but got {found[0]} to {found[1]}"
        )
    return tables


def _check(what: str, release: Release, expected: object, found: object) -> None:
    if found != expected:
        raise DataError(
            f"the tables are not those of {release.title}: their {what} must be {expected} "
            f"but got {found}"
        )
