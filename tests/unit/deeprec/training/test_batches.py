"""Batches: nothing lost, nothing reordered, distinct rows."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeprec.config import TrainingConfig
from deeprec.data.dataset import TrainingData
from deeprec.data.tables import IntArray, Interactions
from deeprec.training.batches import UNKNOWN_ROW, Batches, Side, batched, batched_by_user
from deeprec.training.device_data import DeviceData, faded
from deeprec.training.device_tables import rows_of
from tests.synthetic import MOVIE_SCHEMA, USER_SCHEMA, random_interactions, random_table

USERS = random_table(USER_SCHEMA, np.random.default_rng(1))
MOVIES = random_table(MOVIE_SCHEMA, np.random.default_rng(2))


def in_memory(interactions: Interactions, batch_size: int) -> Batches:
    return jax.tree.map(np.asarray, batched(interactions, batch_size, USERS, MOVIES))


@settings(max_examples=30)
@given(rows=st.integers(1, 60), batch_size=st.integers(1, 25), seed=st.integers(0, 99))
def test_batches_hold_the_interactions_in_order(rows: int, batch_size: int, seed: int) -> None:
    interactions = random_interactions(rows, seed)
    batches = in_memory(interactions, batch_size)
    real = np.arange(batch_size) < batches.sizes[:, None]

    def ids_of(side: Side) -> IntArray:
        ids, positions = (np.asarray(part, int) for part in (side.ids, side.positions))
        return np.take_along_axis(ids, positions, axis=1)

    for side in (batches.users, batches.movies):
        assert side.ids is not None
        for ids, positions, of_batch in zip(side.ids, side.positions, real, strict=True):
            distinct = len(set(positions[of_batch].tolist()))  # each stands there once, in order
            assert (np.diff(ids[:distinct].astype(int)) > 0).all()
            assert not ids[distinct:].any()
    assert len(batches.sizes) == -(-rows // batch_size)
    assert batches.sizes.sum() == rows
    np.testing.assert_array_equal(ids_of(batches.users)[real], interactions.user_id)
    np.testing.assert_array_equal(ids_of(batches.movies)[real], interactions.movie_id)
    np.testing.assert_array_equal(batches.ratings[real], interactions.rating)


def test_the_words_of_each_batch_are_those_of_its_movies() -> None:
    batches = in_memory(random_interactions(90, seed=6), 20)
    titles = MOVIES.columns["movie_title"]
    table = rows_of(MOVIES)
    assert batches.movies.ids is not None
    assert batches.movies.places is not None
    for number, ids in enumerate(batches.movies.ids):
        places = {name: stacked[number] for name, stacked in batches.movies.places.items()}
        words = table.take(jnp.asarray(ids), places).lists["movie_title"]
        for row, title in enumerate(titles[ids]):
            assert list(words.values[words.rows == row]) == list(title[title != 0])
        assert (words.rows <= len(ids)).all()


@settings(max_examples=30)
@given(rows=st.integers(10, 80), batch_size=st.integers(1, 25), seed=st.integers(0, 99))
def test_batches_by_user_hold_each_rating_above_zero(rows: int, batch_size: int, seed: int) -> None:
    interactions = random_interactions(rows, seed)
    batches = jax.tree.map(np.asarray, batched_by_user(interactions, batch_size, USERS, MOVIES))
    assert batches.movies.ids is None
    found: list[tuple[int, int, float]] = []
    for number, ids in enumerate(batches.users.ids):
        real = slice(0, batches.sizes[number])
        assert not batches.ratings[number, batches.sizes[number] :].any()
        users = ids[batches.users.positions[number, real]]
        movies, ratings = (
            part[number, real] for part in (batches.movies.positions, batches.ratings)
        )
        found += zip(users.tolist(), movies.tolist(), ratings.tolist(), strict=True)
    rated = interactions[interactions.rating > 0]
    columns = (rated.user_id, rated.movie_id, rated.rating)
    assert sorted(found) == sorted(zip(*(column.tolist() for column in columns), strict=True))


def test_a_user_is_in_one_batch_by_user_with_all_that_was_rated() -> None:
    batches = batched_by_user(random_interactions(90, seed=6), 7, USERS, MOVIES)
    ids = np.asarray(batches.users.ids)
    distinct = ids[ids > 0]
    assert len(distinct) == len(set(distinct.tolist()))
    assert ids.shape == (-(-len(distinct) // 7), 7)


def test_a_user_with_most_of_the_rows_does_not_make_all_batches_as_large() -> None:
    others, bot = random_interactions(200, seed=3), random_interactions(4_000, seed=4)
    bot = replace(bot, user_id=np.full(4_000, 7, np.int32))
    rows = others.followed_by(bot)
    batches = jax.tree.map(np.asarray, batched_by_user(rows, 3, USERS, MOVIES, reserved=2))
    real = int((rows.rating > 0).sum())
    assert batches.sizes.sum() == real
    assert batches.ratings.size <= 2.1 * real
    assert batches.users.ids.shape[1] <= 4
    assert (batches.users.ids[:, 0] == UNKNOWN_ROW).all()
    own = np.take_along_axis(batches.users.ids, batches.users.positions.astype(int), axis=1)
    counted = np.bincount(own[batches.ratings > 0], minlength=USERS.rows)
    np.testing.assert_array_equal(
        counted, np.bincount(rows.user_id[rows.rating > 0], minlength=USERS.rows)
    )


def test_no_interactions_and_ratings_of_zero_alone_are_refused() -> None:
    interactions = random_interactions(5, seed=1)
    worst = replace(interactions, rating=np.zeros(5, np.float32))
    with pytest.raises(ValueError, match="must not be empty"):
        batched_by_user(worst, 10, USERS, MOVIES)
    with pytest.raises(ValueError, match="must not be empty"):
        batched(interactions[:0], 10, USERS, MOVIES)


def test_the_batches_of_one_size_are_made_once(training_data: TrainingData) -> None:
    data = DeviceData(training_data)
    fifty = data.batches(TrainingConfig(batch_size=50))
    assert data.batches(TrainingConfig(batch_size=50, seed=1)) is fifty
    assert data.batches(TrainingConfig(batch_size=20)).ratings.shape == (12, 20)
    assert data.batches(TrainingConfig(batch_size=50)).ratings.shape == (5, 50)


@pytest.mark.parametrize("of_day", [86_400, 86_400_000_000])  # MovieLens's seconds; microseconds
def test_an_older_row_weighs_half_after_each_half_life(of_day: int) -> None:
    now = 1_600_000_000 * of_day // 86_400
    rows = replace(
        random_interactions(4, 0),
        rating=np.array([1, 1, 1, 0.5], np.float32),
        timestamp=np.array([now - 60 * of_day, now, now - 30 * of_day, now - 30 * of_day]),
    )
    assert rows.days_before_the_last == pytest.approx([60, 0, 30, 30])
    config = TrainingConfig(loss="softmax", half_life=30, rating_power=2)
    assert faded(rows, config).rating ** 2 == pytest.approx([0.25, 1, 0.5, 0.125])
    assert faded(rows, TrainingConfig()) is rows


def test_batches_follow_the_half_life(training_data: TrainingData) -> None:
    times = np.arange(len(training_data.train)) * 86_400
    data = DeviceData(replace(training_data, train=replace(training_data.train, timestamp=times)))
    config = TrainingConfig(loss="softmax", batch_size=4)
    weighed = data.batches(replace(config, half_life=10))
    assert data.batches(replace(config, half_life=10)) is weighed
    assert data.batches(replace(config, half_life=10, rating_power=1)) is not weighed
    assert float(weighed.ratings.sum()) < float(data.batches(config).ratings.sum())
