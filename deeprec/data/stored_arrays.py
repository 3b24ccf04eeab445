"""Arrays in a file of unknown origin: no pickles, no more than the file holds."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeprec.errors import DataError


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an ``.npz`` file that is not compressed.

    Raises:
        DataError: it would unpack to more than it holds.
    """
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > path.stat().st_size:
        raise DataError(
            f"{path} must hold arrays that are not compressed but would unpack to "
            f"{unpacked:,} bytes"
        )
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def check_arrays(arrays: dict[str, npt.NDArray[Any]], users: int, movies: int) -> None:
    """Checks that the arrays of a recommender fit so many rows of users and movies.

    Raises:
        DataError: one is of another type or shape, or leads to rows that there are not.
    """
    ratings = arrays["history.movies"].shape
    dimension = arrays["candidates"].shape[-1:]
    for name, kind, shape in (
        ("user_ids", np.int32, (users,)),
        ("movie_ids", np.int32, (movies,)),
        ("candidates", np.float32, (movies, *dimension)),
        ("history.starts", np.int64, (users + 1,)),
        ("history.movies", np.int32, ratings),
        ("history.ratings", np.float32, ratings),
    ):
        found = arrays[name]
        if found.dtype != kind or found.shape != shape:
            raise DataError(
                f"the array {name!r} must be {np.dtype(kind)} of shape {shape} but is "
                f"{found.dtype} of shape {found.shape}"
            )
    for name, last in {
        "history.starts": arrays["history.movies"].size,
        "history.movies": movies - 1,
    }.items():
        rows = arrays[name]
        if rows.size and not 0 <= rows.min() <= rows.max() <= last:
            raise DataError(
                f"the array {name!r} must lie in 0 to {last} but has {rows.min()} to {rows.max()}"
            )
