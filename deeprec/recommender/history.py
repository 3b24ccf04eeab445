"""What each user has rated, looked up by user: a slice, however many ratings there are."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from deeprec.data.tables import FloatArray, IntArray, Interactions


@dataclass(frozen=True)
class History:
    """The ratings of each user, highest first, and of equal ones the newest first.

    Attributes:
        starts: int64 ``[users + 1]``, where the ratings of each user start; the last is the end.
        movies: int32 ``[n]``, rows of the movie table.
        ratings: float32 ``[n]``, rescaled to 0..1.
    """

    starts: npt.NDArray[np.int64]
    movies: IntArray
    ratings: FloatArray

    @classmethod
    def of(cls, rows: Interactions, users: int) -> Self:
        """The history in some interactions.

        Args:
            rows: what is known of the users.
            users: rows of the user table, row 0 included.
        """
        order = np.lexsort((-rows.timestamp.astype(np.int64), -rows.rating, rows.user_id))
        counts = np.bincount(rows.user_id, minlength=users)
        return cls(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            rows.movie_id[order],
            rows.rating[order],
        )

    def of_user(self, row: int) -> tuple[IntArray, FloatArray]:
        """The movies that a user rated, and the ratings."""
        own = slice(self.starts[row], self.starts[row + 1])
        return self.movies[own], self.ratings[own]
