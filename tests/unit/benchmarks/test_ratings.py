"""The made-up ratings: as many as asked for, no pair twice, long tails, from a seed."""

import numpy as np
import pytest

from tests.benchmarks.ratings import (
    LEAST_RATINGS,
    Size,
    make_movies,
    make_ratings,
    make_users,
    movie_weights,
)

SIZE = Size(ratings=60_000, users=1_000, movies=800)
ROWS = make_ratings(SIZE)


def test_there_are_as_many_as_asked_for_no_pair_twice_and_ids_fit_the_tables() -> None:
    assert len(ROWS) == SIZE.ratings
    pairs = ROWS.user_id.astype(np.int64) * 10_000 + ROWS.movie_id
    assert len(np.unique(pairs)) == SIZE.ratings
    for ids, table, count in [
        (ROWS.user_id, make_users(SIZE), 1_000),
        (ROWS.movie_id, make_movies(SIZE), 800),
    ]:
        assert ids.dtype == np.int32
        assert ids.min() >= 1
        assert ids.max() <= count == table.rows - 1


def test_every_user_rates_as_in_movielens_and_few_rate_much() -> None:
    counts = np.bincount(ROWS.user_id)[1:]
    assert counts.min() >= LEAST_RATINGS
    assert 5 * np.median(counts) < counts.max() <= SIZE.movies // 3
    few = make_ratings(Size(ratings=5_000, users=1_000, movies=800))
    assert np.bincount(few.user_id)[1:].min() >= 1


def test_a_few_movies_have_most_ratings() -> None:
    counts = np.sort(np.bincount(ROWS.movie_id, minlength=801)[1:])[::-1]
    assert counts[:80].sum() > 0.4 * SIZE.ratings
    weights = movie_weights(27_000)
    assert weights.sum() == pytest.approx(1)
    assert (np.diff(weights) < 0).all()


def test_labels_have_five_levels_that_the_movie_partly_explains_in_random_order() -> None:
    assert set(np.unique(ROWS.rating)) == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert ROWS.rating.dtype == np.float32
    sums = np.bincount(ROWS.movie_id, ROWS.rating, minlength=801)
    means = sums / np.maximum(np.bincount(ROWS.movie_id, minlength=801), 1)
    assert 1 - np.var(ROWS.rating - means[ROWS.movie_id]) / np.var(ROWS.rating) > 0.2
    assert abs(np.corrcoef(ROWS.user_id, np.arange(len(ROWS)))[0, 1]) < 0.05


def test_one_seed_gives_the_same_data_and_another_does_not() -> None:
    again, other = make_ratings(SIZE), make_ratings(SIZE, 4)
    np.testing.assert_array_equal(ROWS.movie_id, again.movie_id)
    np.testing.assert_array_equal(ROWS.rating, again.rating)
    assert not np.array_equal(ROWS.movie_id, other.movie_id)


@pytest.mark.parametrize("name", ["movie_title", "movie_genres"])
def test_titles_and_genres_are_padded_at_the_end_and_no_movie_has_none(name: str) -> None:
    column = make_movies(SIZE).columns[name]
    assert not column[0].any()
    assert (column[1:, 0] > 0).all()
    present = column > 0
    assert (present[:, :-1] >= present[:, 1:]).all()


def test_a_size_with_no_room_for_its_ratings_is_refused() -> None:
    with pytest.raises(ValueError, match="at most a quarter of all pairs"):
        Size(ratings=50_000, users=100, movies=600)
