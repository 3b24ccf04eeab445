"""Interactions cut into fixed batches, each with its distinct users and movies.

The batches are the same in every epoch (as in the tutorial), so which users and movies each
contains is known beforehand: a tower runs once for each distinct row, not once for each rating,
and the interactions pick their embeddings by position. The result is the same, for a fraction
of the work.
"""

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from deeprec.tables import FloatArray, IntArray, Interactions

Number = TypeVar("Number", bound=np.generic)


class Batches(NamedTuple):
    """All batches of an epoch, stacked; a batch is one index of the leading axis.

    Attributes:
        users: int32 ``[steps, distinct users]``, ids; padded with 0 (nobody).
        user_rows: int32 ``[steps, batch]``, position of each interaction's user in ``users``.
        movies: int32 ``[steps, distinct movies]``, ids; padded with 0.
        movie_rows: int32 ``[steps, batch]``, position of each interaction's movie in ``movies``.
        ratings: float32 ``[steps, batch]``, in 0..1.
        weights: float32 ``[steps, batch]``: 1, and 0 where the last batch is padded.
    """

    users: IntArray
    user_rows: IntArray
    movies: IntArray
    movie_rows: IntArray
    ratings: FloatArray
    weights: FloatArray

    @property
    def steps(self) -> int:
        """How many batches there are."""
        return len(self.ratings)


def batched(interactions: Interactions, batch_size: int) -> Batches:
    """Cuts the interactions, in their order, into batches; the last is padded with weight 0."""
    if len(interactions) == 0:
        raise ValueError("interactions must not be empty")
    steps = -(-len(interactions) // batch_size)
    users, user_rows = _distinct(_stacked(interactions.user_id, steps, batch_size))
    movies, movie_rows = _distinct(_stacked(interactions.movie_id, steps, batch_size))
    weights = np.ones(len(interactions), np.float32)
    return Batches(
        users,
        user_rows,
        movies,
        movie_rows,
        _stacked(interactions.rating, steps, batch_size),
        _stacked(weights, steps, batch_size),
    )


def _stacked(column: npt.NDArray[Number], steps: int, batch_size: int) -> npt.NDArray[Number]:
    padding = steps * batch_size - len(column)
    return np.pad(column, (0, padding)).reshape(steps, batch_size)


def _distinct(ids: IntArray) -> tuple[IntArray, IntArray]:
    """For each batch: its distinct ids (padded to the longest), and where each row's id is."""
    pairs = [np.unique(batch, return_inverse=True) for batch in ids]
    longest = max(len(distinct) for distinct, _ in pairs)
    distinct_ids = np.zeros((len(ids), longest), np.int32)
    for row, (distinct, _) in zip(distinct_ids, pairs, strict=True):
        row[: len(distinct)] = distinct
    return distinct_ids, np.stack([rows for _, rows in pairs]).astype(np.int32)
