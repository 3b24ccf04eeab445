"""What a step of the sampled softmax draws, and what is expected of it."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec.data.tables import FloatArray, IntArray, Interactions
from deeprec.training.batches import UNKNOWN_ROW, Batches, batched_by_user
from deeprec.training.losses import NEVER, sampled_softmax_loss, softmax_loss
from deeprec.training.sampling import (
    DrawPlan,
    SampledBatches,
    divided,
    drawn,
    first_above,
    sampled_batches,
)
from tests.synthetic import (
    MOVIE_SCHEMA,
    MOVIES,
    USER_SCHEMA,
    USERS,
    random_interactions,
    random_table,
)

USER_TABLE = random_table(USER_SCHEMA, np.random.default_rng(1))
MOVIE_TABLE = random_table(MOVIE_SCHEMA, np.random.default_rng(2))
POWER = 2.0
ROWS = random_interactions(300, seed=4)
ROWS = replace(ROWS, user_id=np.maximum(ROWS.user_id, 2), movie_id=np.maximum(ROWS.movie_id, 2))


def made(
    rows: Interactions, batch_size: int, negatives: int = 16, reserved: int = 1
) -> tuple[DrawPlan, SampledBatches]:
    plan = DrawPlan.of(negatives, batch_size, MOVIE_TABLE.rows, reserved)
    return plan, sampled_batches(plan, rows, batch_size, USER_TABLE, MOVIE_TABLE, POWER)


def many(plan: DrawPlan, batches: SampledBatches, step: int, times: int) -> Batches:
    """What a step draws, so many times."""
    batch = jax.tree.map(lambda each: each[step], batches.by_step)
    keys = jax.random.split(jax.random.key(5), times)
    draw = partial(drawn, plan, batch, batches.drawable)
    found: Batches = jax.jit(partial(jax.lax.map, draw))(keys)
    return found


def weights_of(rows: Interactions, users: IntArray) -> FloatArray:
    """The weight of each of some users' movies: float ``[users, movies]``."""
    weights = np.zeros((USERS, MOVIES), np.float32)
    np.add.at(weights, (rows.user_id, rows.movie_id), rows.rating**POWER)
    return weights[users]


@pytest.fixture(scope="module")
def draws() -> tuple[DrawPlan, SampledBatches, Batches]:
    plan, batches = made(ROWS, 9, negatives=60, reserved=2)
    return plan, batches, many(plan, batches, 1, times=1000)


Draws = tuple[DrawPlan, SampledBatches, Batches]


def test_rows_are_drawn_as_they_weigh(draws: Draws) -> None:
    plan, batches, each = draws
    ids = np.asarray(batches.by_step.ids[1])
    assert ids[0] == UNKNOWN_ROW
    expected = weights_of(ROWS, ids)
    movies = jnp.take_along_axis(jnp.asarray(each.movies.ids), each.movies.positions, axis=1)
    found = np.zeros_like(expected)
    np.add.at(found, (np.asarray(each.users.positions), np.asarray(movies)), each.ratings)
    np.testing.assert_allclose(np.asarray(each.ratings).sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(found / len(movies), expected / expected.sum(), atol=4e-3)
    of_users = np.asarray(batches.by_step.draws[1])
    assert of_users.sum() == plan.positives
    assert of_users.min() >= 1


def test_every_movie_is_expected_to_count_once(draws: Draws) -> None:
    plan, _, each = draws
    counts = np.zeros((len(each.sizes), MOVIES))
    places = (np.arange(len(counts))[:, None], np.asarray(each.movies.ids))
    np.add.at(counts, places, np.exp(np.asarray(each.log_counts, np.float64)))
    assert not counts[:, : plan.reserved].any()
    counts = counts[:, plan.reserved :]
    errors = counts.std(axis=0) / np.sqrt(len(counts))
    assert (np.abs(counts.mean(axis=0) - 1) < 4 * errors + 1e-6).all()
    assert counts.mean() == pytest.approx(1, abs=0.01)


def test_the_gradient_is_expected_to_be_nearly_that_of_the_whole_softmax(draws: Draws) -> None:
    _, batches, each = draws
    ids = np.asarray(batches.by_step.ids[1])
    scores = jax.random.normal(jax.random.key(1), (len(ids), MOVIES)).at[:, :2].set(NEVER)
    weights = weights_of(ROWS, ids)
    users, movies = np.nonzero(weights)
    whole = jax.grad(softmax_loss)(scores, users, movies, weights[users, movies])

    def estimate(scores: jax.Array, of_one: Batches) -> jax.Array:
        assert of_one.movies.ids is not None
        assert of_one.log_counts is not None
        positions = (of_one.users.positions, of_one.movies.positions)
        of_drawn = jnp.take(scores, of_one.movies.ids, axis=1)
        return sampled_softmax_loss(of_drawn, *positions, of_one.ratings, of_one.log_counts)

    gradients = jax.jit(partial(jax.lax.map, partial(jax.grad(estimate), scores)))(each)
    difference = np.linalg.norm(np.mean(gradients, axis=0) - whole)
    assert difference < 0.08 * np.linalg.norm(whole)


def test_what_a_step_holds_depends_neither_on_the_catalog_nor_on_a_bot() -> None:
    bot = replace(random_interactions(3_000, seed=4), user_id=np.full(3_000, 7, np.int32))
    for rows in (ROWS, ROWS.followed_by(bot)):
        plan, batches = made(rows, 9, negatives=20)
        each = jax.eval_shape(partial(many, plan, batches, 0, times=2))
        assert plan.candidates == each.movies.ids.shape[1] == 80 < MOVIES
        assert each.users.positions.shape == each.movies.positions.shape == (2, 60)
        assert batches.by_step.ids.shape[1] == 9
        assert len(batches.drawable.movies) == (rows.rating > 0).sum() == batches.sizes.sum()


def test_the_users_of_a_batch_are_those_of_the_softmax() -> None:
    _, batches = made(ROWS, 9, reserved=2)
    of_softmax = batched_by_user(ROWS, 9, USER_TABLE, MOVIE_TABLE, reserved=2)
    np.testing.assert_array_equal(
        np.sort(batches.by_step.ids, axis=1), np.sort(np.asarray(of_softmax.users.ids), axis=1)
    )


@given(weights=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30), further=st.integers(0, 200))
def test_draws_are_divided_by_share_and_every_user_has_one(
    weights: list[float], further: int
) -> None:
    shares = np.array(weights) / sum(weights)
    draws = divided(shares, len(shares) + further)
    assert draws.sum() == len(shares) + further
    assert (np.abs(draws - 1 - shares * further) < 1.001).all()


def test_the_first_place_above_a_value_is_found_in_any_part() -> None:
    ascending = np.array([3, 3, 9, 1, 4, 4, 8])
    start, end = np.array([0, 0, 0, 0, 3, 3, 3, 5]), np.array([3, 3, 3, 3, 7, 7, 7, 5])
    values = np.array([2, 3, 8, 9, 0, 4, 8, 0])
    found = first_above(*map(jnp.asarray, (ascending, values, start, end)))
    assert found.tolist() == [0, 2, 2, 3, 3, 6, 7, 5]


def test_no_interactions_are_refused() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        made(ROWS[ROWS.rating == 0], 9)
