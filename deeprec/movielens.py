"""MovieLens 100K as published: its files, their checksums, and the raw tables in them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deeprec.errors import DataError
from deeprec.tables import FloatArray, IntArray


@dataclass(frozen=True)
class FileChecksum:
    """What a genuine file looks like.

    Attributes:
        name: the file's name, without a folder.
        size: bytes.
        sha256: lower-case hexadecimal digest.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A published archive and the files of it that are needed.

    Attributes:
        archive: the archive itself.
        folder: the folder inside the archive that holds the files.
        files: the files.
    """

    archive: FileChecksum
    folder: str
    files: tuple[FileChecksum, ...]


MOVIELENS_100K = Archive(
    archive=FileChecksum(
        "ml-100k.zip",
        4_924_029,
        "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    ),
    folder="ml-100k",
    files=(
        FileChecksum(
            "u.data",
            1_979_173,
            "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
        ),
        FileChecksum(
            "u.item",
            236_344,
            "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
        ),
        FileChecksum(
            "u.user",
            22_628,
            "f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c",
        ),
    ),
)


class Movie(NamedTuple):
    """One movie of the catalog.

    Attributes:
        id: from 1.
        title: with the year in parentheses.
        genres: indices into the genre names.
    """

    id: int
    title: str
    genres: tuple[int, ...]


RATING_COLUMNS: Mapping[str, np.dtype[Any]] = {
    "user_id": np.dtype(np.int32),
    "movie_id": np.dtype(np.int32),
    "user_rating": np.dtype(np.float32),
    "timestamp": np.dtype(np.int64),
    "raw_user_age": np.dtype(np.float32),
    "user_gender": np.dtype(np.bool_),
    "user_occupation_label": np.dtype(np.int64),
}
"""The columns of the ratings table that are used, as TFDS names them."""


@dataclass(frozen=True, kw_only=True)
class RawTables:
    """The ratings and the movies, in the order in which TFDS yields them.

    Attributes:
        user_id: int32 ``[n]``, from 1.
        movie_id: int32 ``[n]``, from 1.
        user_rating: float32 ``[n]``, 1 to 5 stars.
        timestamp: int64 ``[n]``, seconds since 1970.
        raw_user_age: float32 ``[n]``, years.
        user_gender: bool ``[n]``, true is male.
        user_occupation_label: int64 ``[n]``, the class TFDS gives the occupation.
        movies: the catalog.
        genre_names: by the genre indices of the movies.
    """

    user_id: IntArray
    movie_id: IntArray
    user_rating: FloatArray
    timestamp: npt.NDArray[np.int64]
    raw_user_age: FloatArray
    user_gender: npt.NDArray[np.bool_]
    user_occupation_label: npt.NDArray[np.int64]
    movies: Sequence[Movie]
    genre_names: Sequence[str]

    def __post_init__(self) -> None:
        for name, dtype in RATING_COLUMNS.items():
            column = getattr(self, name)
            if column.dtype != dtype or column.shape != self.user_id.shape:
                raise ValueError(
                    f"{name} must be {dtype} of shape {self.user_id.shape} "
                    f"but got {column.dtype} of shape {column.shape}"
                )

    def __len__(self) -> int:
        return len(self.user_id)

    @property
    def user_count(self) -> int:
        """The number of users; ids are without gaps, so also the largest id."""
        return int(self.user_id.max())

    @property
    def movie_count(self) -> int:
        """The number of movies; ids are without gaps, so also the largest id."""
        return max(movie.id for movie in self.movies)

    def digest(self) -> str:
        """Hexadecimal SHA-256 of all contents, the same on every machine."""
        digest = hashlib.sha256()
        for name, dtype in RATING_COLUMNS.items():
            column = np.ascontiguousarray(getattr(self, name), dtype.newbyteorder("<"))
            digest.update(f"{name} {column.dtype.str} {column.shape}\n".encode())
            digest.update(column.tobytes())
        catalog = [[movie.id, movie.title, list(movie.genres)] for movie in self.movies]
        digest.update(json.dumps([catalog, list(self.genre_names)]).encode())
        return digest.hexdigest()


RAW_SHA256 = "56a5c33df42e2c45e0ffe307d831bedb2fb92c5d71f329854d115ba1ffab48bd"
"""The digest of the genuine raw tables: it tells MovieLens 100K from anything else."""


def check_tables(tables: RawTables, expected: str = RAW_SHA256) -> RawTables:
    """The tables, if they are the genuine ones.

    Raises:
        DataError: their digest is not the expected one.
    """
    if (found := tables.digest()) != expected:
        raise DataError(
            "the tables are not those of MovieLens 100K: their SHA-256 must be "
            f"{expected} but got {found}"
        )
    return tables
