"""Users in batches, of whose interactions and of the catalog every step draws some anew.

For the loss ``sampled_softmax``: what a step costs depends on how much it draws, not on the
catalog, nor on how much its users interacted. Rows lie once on the device, user by user, and a
batch knows where those of its users are: nothing is padded but the number of users.

**Interactions.** A step draws a fixed number ``n_u`` of the rows of user ``u``, at least one and
else as their weights are of the batch's, each with a chance ``p_u`` in proportion to its weight.
Draws are stratified, one of each of ``n_u`` equal parts: a row is drawn about as often as expected.

**Negatives** are drawn from the catalog, stratified too: half of them evenly, half by popularity.

**Candidates** of every user of the batch are all that was drawn, each item once. Item ``j`` is
expected ``e_j = sum_u n_u p_u(j) + negatives q(j)`` times; drawn ``c_j`` times, it counts
``c_j / e_j`` times, and ``sum_j c_j / e_j exp(s_uj)`` has the expectation ``sum_j exp(s_uj)`` over
the whole catalog, for every user: the balance heuristic of Veach and Guibas (1995); with negatives
alone it is the importance sampling of Bengio and Senecal (2008). That the numbers ``n_u`` are fixed
is what makes it hold for a user of one row as for one of a million.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from deeprec.data.tables import FeatureTable, IntArray, Interactions
from deeprec.training.batches import UNKNOWN_ROW, Batches, Side, padded, shuffled_users
from deeprec.training.device_tables import smallest_type, stacked_places, take_rows
from deeprec.training.losses import NEVER

PARTS = 1 << 30
"""A chance is a whole number of so many parts: a sum of floats would lose rows of a small one."""

POSITIVES = 3
"""How many interactions are drawn for a negative.

Gradients vary most by which interactions are drawn: on Complete Journey, of 8,192 draws in all,
those of the candidates are off by 3.4 times their size with one for one, and by 2.9 with three for
one; the normalizers are known to 1 % either way."""

EVENLY = 0.5
"""The share of the negatives that is drawn evenly."""

Weights = npt.NDArray[np.float64]


class DrawPlan(NamedTuple):
    """How many interactions and negatives a step draws, and how many different movies at most."""

    positives: int
    negatives: int
    candidates: int
    reserved: int

    @classmethod
    def of(cls, negatives: int, users: int, movies: int, reserved: int) -> Self:
        """For so many negatives, and batches of so many users, each drawn at least once."""
        positives = max(POSITIVES * negatives, users)
        most = reserved - 1 + positives + negatives
        return cls(positives, negatives, min(most, movies), reserved)


class UserBatches(NamedTuple):
    """The users of every batch of an epoch; a batch is one index of every leading axis.

    Attributes:
        ids: int ``[steps, distinct]``, padded with 0 at the end; the first is the row for unknown
            users where there is one, and the users follow.
        places: int ``[steps, n]`` by feature, the places of the values of ``ids``.
        starts: int32 ``[steps, users]``, where the rows of each user start.
        ends: int32 ``[steps, users]``, where they end.
        draws: int32 ``[steps, users]``, how many of them a step draws; 0 for padding.
        shares: float32 ``[steps, users]``, of the weights of the batch.
        occurring: int32 ``[steps, 2]``, where the items start and end that occur in the batch.
    """

    ids: jax.Array
    places: Mapping[str, jax.Array]
    starts: jax.Array
    ends: jax.Array
    draws: jax.Array
    shares: jax.Array
    occurring: jax.Array


class Drawable(NamedTuple):
    """What is drawn from.

    Attributes:
        movies: int ``[rows]``, that of each interaction, user by user.
        chances: int32 ``[rows]``, that of a row and of those of the same user before it.
        occurring: int ``[n]``, the movies that occur in each batch, ascending, batch by batch.
        expected: float32 ``[n]``, how often each is expected among the interactions of a step.
        catalog: int32 ``[movies]``, the chance of a row of the table and of those before it.
    """

    movies: jax.Array
    chances: jax.Array
    occurring: jax.Array
    expected: jax.Array
    catalog: jax.Array


class SampledBatches(NamedTuple):
    """All batches of an epoch, what is drawn from, and the interactions of each batch."""

    by_step: UserBatches
    drawable: Drawable
    sizes: jax.Array


def sampled_batches(
    plan: DrawPlan,
    interactions: Interactions,
    batch_size: int,
    users: FeatureTable,
    movies: FeatureTable,
    rating_power: float,
) -> SampledBatches:
    """Cuts the interactions into batches of so many users each, on the default device.

    The users of each are those of ``softmax``. Rows rated 0 are left out.

    Raises:
        ValueError: there are no interactions rated above 0.
    """
    rows = _Rows.of(interactions[interactions.rating > 0], rating_power)
    firsts = np.arange(0, len(rows.users), batch_size)
    weights = np.repeat(np.add.reduceat(rows.of_users, firsts), batch_size)
    shares = rows.of_users / weights[: len(rows.users)]
    by_batch = np.split(shares, firsts[1:])
    draws = np.concatenate([divided(each, plan.positives) for each in by_batch])
    occurring, expected, ends = rows.expected(draws, batch_size, movies.rows)
    unknown = np.full(plan.reserved - 1, UNKNOWN_ROW, np.int32)
    ids = [np.append(unknown, each) for each in np.split(rows.users, firsts[1:])]

    def by_step(values: npt.NDArray[Any], dtype: type[Any]) -> npt.NDArray[Any]:
        return padded(np.split(values, firsts[1:]), dtype)

    of_batches = {
        "ids": padded(ids, smallest_type(users.rows)),
        "places": stacked_places(users, ids),
        "starts": by_step(rows.ends - rows.counts, np.int32),
        "ends": by_step(rows.ends, np.int32),
        "draws": by_step(draws, np.int32),
        "shares": by_step(shares, np.float32),
        "occurring": np.stack([ends[:-1], ends[1:]], axis=1).astype(np.int32),
    }
    drawable = {
        "movies": rows.movie_id.astype(smallest_type(movies.rows)),
        "chances": rows.chances(draws),
        "occurring": occurring.astype(smallest_type(movies.rows)),
        "expected": expected.astype(np.float32),
        "catalog": rows.catalog(movies.rows, plan),
    }
    sizes = np.add.reduceat(rows.counts, firsts).astype(np.int32)
    of_batches, drawable, sizes = jax.device_put((of_batches, drawable, sizes))
    return SampledBatches(UserBatches(**of_batches), Drawable(**drawable), sizes)


@dataclass(frozen=True)
class _Rows:
    """Interactions, user by user.

    Attributes:
        users: int32 ``[users]``, in the order of the batches.
        counts: int ``[users]``, how many rows each has.
        movie_id: int32 ``[rows]``.
        weights: float64 ``[rows]``, above 0.
    """

    users: IntArray
    counts: npt.NDArray[np.int64]
    movie_id: IntArray
    weights: Weights

    @classmethod
    def of(cls, rows: Interactions, rating_power: float) -> Self:
        """Sorts rows; a row weighs its rating to this power."""
        if len(rows) == 0:
            raise ValueError("interactions must not be empty")
        users, place = shuffled_users(rows.user_id)
        order = np.argsort(place, kind="stable")
        weights = np.maximum(rows.rating[order].astype(np.float64), 1e-6) ** rating_power
        return cls(users, np.bincount(place), rows.movie_id[order], weights)

    @property
    def ends(self) -> npt.NDArray[np.int64]:
        """Where the rows of each user end."""
        return np.cumsum(self.counts)

    @property
    def of_users(self) -> Weights:
        """The sum of the weights of each user."""
        return np.add.reduceat(self.weights, self.ends - self.counts)

    def chances(self, draws: npt.NDArray[np.int64]) -> IntArray:
        """Of a user's rows to be drawn, cumulated, in whole multiples of the draws."""
        of_users = self.of_users
        before = np.repeat(np.cumsum(of_users) - of_users, self.counts)
        share = (np.cumsum(self.weights) - before) / np.repeat(of_users, self.counts)
        parts = np.repeat(PARTS // draws * draws, self.counts)
        chances = np.rint(parts * np.clip(share, 0, 1)).astype(np.int32)
        chances[self.ends - 1] = parts[self.ends - 1]
        return chances

    def expected(
        self, draws: npt.NDArray[np.int64], batch_size: int, movies: int
    ) -> tuple[IntArray, Weights, npt.NDArray[np.int64]]:
        """The distinct movies of each batch, how often each is drawn, and where batches start."""
        batch = np.repeat(np.arange(len(self.users)) // batch_size, self.counts)
        pairs, inverse = np.unique(batch * movies + self.movie_id, return_inverse=True)
        often = self.weights * np.repeat(draws / self.of_users, self.counts)
        starts = np.searchsorted(pairs, np.arange(int(batch[-1]) + 2) * movies)
        expected: Weights = np.bincount(inverse, weights=often).astype(np.float64)
        return (pairs % movies).astype(np.int32), expected, starts.astype(np.int64)

    def catalog(self, movies: int, plan: DrawPlan) -> IntArray:
        """Of a movie to be drawn as a negative, cumulated, in whole multiples of the negatives."""
        popularity = np.bincount(self.movie_id, weights=self.weights, minlength=movies)
        chances = (1 - EVENLY) * popularity / popularity.sum() + EVENLY / (movies - plan.reserved)
        chances[: plan.reserved] = 0
        share = np.cumsum(chances) / chances.sum()
        parts = PARTS // plan.negatives * plan.negatives
        cumulated: IntArray = np.rint(parts * share).astype(np.int32)
        return cumulated


def divided(shares: Weights, total: int) -> npt.NDArray[np.int64]:
    """Divides a number of draws by shares, at least one each; the largest remainders round up."""
    wanted = shares / shares.sum() * (total - len(shares))
    draws = 1 + wanted.astype(np.int64)
    largest_first = np.argsort(np.floor(wanted) - wanted, kind="stable")
    draws[largest_first[: total - draws.sum()]] += 1
    return draws


def drawn(plan: DrawPlan, batch: UserBatches, whole: Drawable, key: jax.Array) -> Batches:
    """What a step learns from: some interactions, with weights whose sum is 1, and candidates."""
    of_rows, of_negatives = jax.random.split(key)
    number = jnp.arange(plan.positives)
    user = jnp.repeat(jnp.arange(len(batch.draws)), batch.draws, total_repeat_length=len(number))
    nth = number - (jnp.cumsum(batch.draws) - batch.draws)[user]
    parts = _one_of_each(of_rows, nth, batch.draws[user])
    row = first_above(whole.chances, parts, batch.starts[user], batch.ends[user])
    positives = take_rows(whole.movies, row).astype(jnp.int32)

    of_each = jnp.full(plan.negatives, plan.negatives)
    parts = _one_of_each(of_negatives, jnp.arange(plan.negatives), of_each)
    negatives = first_above(whole.catalog, parts, jnp.int32(0), jnp.int32(len(whole.catalog)))

    unknown = jnp.full(plan.reserved - 1, UNKNOWN_ROW)
    ids, positions, counts = jnp.unique(
        jnp.concatenate([unknown, positives, negatives]),
        return_inverse=True,
        return_counts=True,
        size=plan.candidates,
        fill_value=0,
    )
    expected = _expected(plan, batch, whole, ids)
    real = ids >= plan.reserved
    return Batches(
        users=Side(batch.ids, user + len(unknown), batch.places),
        movies=Side(ids, positions[len(unknown) :][: plan.positives], None),
        ratings=batch.shares[user] / batch.draws[user],
        sizes=jnp.int32(plan.positives),
        log_counts=jnp.where(real, jnp.log(counts / jnp.where(real, expected, 1.0)), NEVER),
    )


def _one_of_each(key: jax.Array, nth: jax.Array, of: jax.Array) -> jax.Array:
    """A random one of the ``nth`` of so many equal parts of all parts."""
    width = PARTS // of
    return nth * width + jax.random.randint(key, nth.shape, 0, width)


def _expected(plan: DrawPlan, batch: UserBatches, whole: Drawable, ids: jax.Array) -> jax.Array:
    """How often each movie is expected among what a step draws, float ``[candidates]``."""
    start, end = batch.occurring
    place = first_above(whole.occurring, ids - 1, start, end)
    occurs = (place < end) & (whole.occurring.at[place].get(mode="clip") == ids)
    as_positive = jnp.where(occurs, whole.expected.at[place].get(mode="clip"), 0.0)
    before = take_rows(whole.catalog, jnp.maximum(ids - 1, 0))
    width = PARTS // plan.negatives
    return as_positive + (take_rows(whole.catalog, ids) - before) / width


def first_above(
    ascending: jax.Array, values: jax.Array, start: jax.Array, end: jax.Array
) -> jax.Array:
    """The first place in ``[start, end)`` that holds more than the value, else ``end``.

    As many halvings as the whole array needs, whatever the part: int ``[values]``.
    """

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = (low + high) // 2
        above = ascending.at[middle].get(mode="clip") > values
        keep = low >= high
        return (
            jnp.where(above | keep, low, middle + 1),
            jnp.where(above & ~keep, middle, high),
        )

    whole = (jnp.broadcast_to(start, values.shape), jnp.broadcast_to(end, values.shape))
    return jax.lax.fori_loop(0, len(ascending).bit_length(), halve, whole)[0]
