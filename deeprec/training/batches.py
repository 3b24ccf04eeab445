"""Interactions cut into fixed batches, each with its distinct users and movies.

The batches are the same in every epoch (as in the tutorial), so which users and movies each
contains is known beforehand: a tower runs once for each distinct row, not once for each rating,
and the interactions pick their embeddings by position. The result is the same, for a fraction
of the work.

:func:`batched` cuts by interactions, in their order; :func:`batched_by_user` by users, each with
all of its interactions, against the whole catalog.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import jax
import numpy as np
import numpy.typing as npt

from deeprec.data.tables import FeatureTable, IntArray, Interactions
from deeprec.training.device_tables import smallest_type, stacked_places

USER_SHUFFLE_SEED = 42

MOST_PADDING = 2
"""Batches by user are padded to the largest: to at most so many rows a real one."""

UNKNOWN_ROW = 1
"""The row of a table that stands for unknown users or items, where two rows are reserved."""


Number = TypeVar("Number", bound=np.number)


class Side(NamedTuple):
    """The users, or the movies, of every batch of an epoch.

    Attributes:
        ids: int ``[steps, distinct]``, padded with 0 at the end; None where every batch uses
            the whole table, in its order.
        positions: int ``[steps, batch]``, where in ``ids`` each interaction's user (movie) is.
        places: int ``[steps, n]`` by feature, the places of the values of ``ids``; None where the
            ids are drawn on the device.
    """

    ids: jax.Array | None
    positions: jax.Array
    places: Mapping[str, jax.Array] | None


class Batches(NamedTuple):
    """All batches of an epoch, stacked; a batch is one index of every leading axis.

    ``ratings`` are float32 ``[steps, batch]`` in 0..1; ``sizes`` int32 ``[steps]``: what follows so
    many interactions is padding, with ratings of 0. What :func:`deeprec.training.sampling.drawn`
    makes for a step has weights in the place of ratings, and ``log_counts``, float ``[distinct]``:
    the logarithm of how often each movie was drawn, of how often it was expected.
    """

    users: Side
    movies: Side
    ratings: jax.Array
    sizes: jax.Array
    log_counts: jax.Array | None = None


def batched(
    interactions: Interactions,
    batch_size: int,
    users: FeatureTable,
    movies: FeatureTable,
    *,
    reserved: int = 1,
) -> Batches:
    """Cuts the interactions, in their order, into batches of so many each on the default device.

    At 20 million interactions memory counts: each part goes to the device as it is made, in the
    smallest type that holds it. Where tables have a row for unknown users and items (with two
    ``reserved`` rows) it is the first of every batch's rows.

    Raises:
        ValueError: there are no interactions.
    """
    if len(interactions) == 0:
        raise ValueError("interactions must not be empty")
    steps = -(-len(interactions) // batch_size)
    sizes = np.full(steps, batch_size, np.int32)
    sizes[-1] = len(interactions) - (steps - 1) * batch_size
    return Batches(
        users=_side(interactions.user_id, batch_size, users, reserved),
        movies=_side(interactions.movie_id, batch_size, movies, reserved),
        ratings=jax.device_put(
            np.pad(interactions.rating, (0, batch_size - sizes[-1])).reshape(steps, batch_size)
        ),
        sizes=jax.device_put(sizes),
    )


def batched_by_user(
    interactions: Interactions,
    batch_size: int,
    users: FeatureTable,
    movies: FeatureTable,
    *,
    reserved: int = 1,
) -> Batches:
    """Cuts the interactions into batches of so many users each, on the default device.

    Those rated 0 are left out. The users are shuffled, always in the same way, so that the batches
    are about equally large. Where a few users have most of the rows they are not, and would all be
    padded to the largest: then a batch ends after the mean number of rows, and the user whose rows
    it cuts goes on in the next. The steps at most double, and the padded rows are about
    ``MOST_PADDING`` times the real ones at most. Every batch uses all movies. ``reserved`` is as
    in :func:`batched`.

    Raises:
        ValueError: there are no interactions rated above 0.
    """
    rows = interactions[interactions.rating > 0]
    if len(rows) == 0:
        raise ValueError("interactions must not be empty")
    selections, of_selection = _users_and_rows(rows.user_id, batch_size)
    if reserved > 1:
        selections = [np.concatenate([[UNKNOWN_ROW], ids]).astype(np.int32) for ids in selections]
    sizes = np.array([len(taken) for taken in of_selection], np.int32)
    positions = np.zeros((len(sizes), sizes.max()), smallest_type(batch_size + 1))
    candidates = np.zeros(positions.shape, smallest_type(movies.rows))
    ratings = np.zeros(positions.shape, np.float32)
    place = np.zeros(users.rows, np.int32)
    for number, (ids, taken) in enumerate(zip(selections, of_selection, strict=True)):
        place[ids] = np.arange(len(ids))
        positions[number, : len(taken)] = place[rows.user_id[taken]]
        candidates[number, : len(taken)] = rows.movie_id[taken]
        ratings[number, : len(taken)] = rows.rating[taken]
    by_user = Side(
        ids=padded(selections, smallest_type(users.rows)),  # type: ignore[arg-type]
        positions=positions,  # type: ignore[arg-type]
        places=stacked_places(users, selections),  # type: ignore[arg-type]
    )
    catalog = Side(ids=None, positions=candidates, places={})  # type: ignore[arg-type]
    return jax.device_put(Batches(by_user, catalog, ratings, sizes))  # type: ignore[arg-type]


def _users_and_rows(user_id: IntArray, batch_size: int) -> tuple[list[IntArray], list[IntArray]]:
    """The users of each batch, shuffled, and which interactions are theirs."""
    users, place = shuffled_users(user_id)
    batch = place // batch_size
    sizes = np.bincount(batch)
    if len(sizes) * sizes.max() > MOST_PADDING * len(user_id):
        rows = _cut_by_rows(place, batch_size, -(-len(user_id) // len(sizes)))
        return [np.unique(user_id[taken]) for taken in rows], rows
    by_batch = np.argsort(batch, kind="stable").astype(np.int32)
    of_batches = np.split(users, np.arange(batch_size, len(users), batch_size))
    return [np.sort(each) for each in of_batches], np.split(by_batch, np.cumsum(sizes)[:-1])


def shuffled_users(user_id: IntArray) -> tuple[IntArray, npt.NDArray[np.int64]]:
    """The distinct users, shuffled always in the same way, and where that of each row is."""
    distinct, inverse = np.unique(user_id, return_inverse=True)
    place = np.random.default_rng(USER_SHUFFLE_SEED).permutation(len(distinct))
    users = np.empty_like(distinct)
    users[place] = distinct
    return users, place[inverse]


def _cut_by_rows(place: npt.NDArray[np.int64], batch_size: int, most: int) -> list[IntArray]:
    """The rows of each batch, which ends after so many users or, within one, so many rows.

    ``place`` is where the user of each row is among all. With ``most`` the mean, batches that end
    by rows are no more than there would be without it, nor are those that end by users.
    """
    by_user = np.argsort(place, kind="stable").astype(np.int32)
    ends_of_users = np.cumsum(np.bincount(place))
    ends = [0]
    while ends[-1] < len(place):
        first = int(np.searchsorted(ends_of_users, ends[-1], side="right"))
        end_of_last = ends_of_users[first : first + batch_size][-1]
        ends.append(min(ends[-1] + most, int(end_of_last)))
    return np.split(by_user, ends[1:-1])


def _side(ids: IntArray, batch_size: int, table: FeatureTable, reserved: int) -> Side:
    distinct, positions = _distinct(ids, batch_size, [UNKNOWN_ROW] * (reserved - 1))
    return Side(
        ids=jax.device_put(padded(distinct, smallest_type(table.rows))),
        positions=positions,
        places=jax.device_put(stacked_places(table, distinct)),
    )


def _distinct(ids: IntArray, batch_size: int, first: list[int]) -> tuple[list[IntArray], jax.Array]:
    """The first ids and the distinct ids of each batch, and where each row's id is."""
    starts = range(0, len(ids), batch_size)
    positions = np.zeros((len(starts), batch_size), smallest_type(batch_size + len(first)))
    # Views of one array: 20,000 small ones would leave holes in memory that nothing fills again.
    all_distinct, used = np.empty(len(ids) + len(starts) * len(first), np.int32), 0
    distinct = []
    for number, start in enumerate(starts):
        batch, inverse = np.unique(ids[start : start + batch_size], return_inverse=True)
        positions[number, : len(inverse)] = inverse + len(first)
        distinct.append(all_distinct[used : used + len(first) + len(batch)])
        distinct[-1][:] = [*first, *batch]
        used += len(distinct[-1])
    return distinct, jax.device_put(positions)


def padded(values: Sequence[npt.NDArray[np.generic]], dtype: type[Number]) -> npt.NDArray[Number]:
    """Rows of values, with zeros at the end of all but the longest."""
    rows = np.zeros((len(values), max(map(len, values))), dtype)
    for row, own in zip(rows, values, strict=True):
        row[: len(own)] = own
    return rows
