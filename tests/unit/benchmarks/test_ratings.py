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


def test_there_are_as_many_as_asked_for_and_no_pair_twice() -> None:
    rows = make_ratings(SIZE)
    assert len(rows) == SIZE.ratings
    pairs = rows.user_id.astype(np.int64) * 10_000 + rows.movie_id
    assert len(np.unique(pairs)) == SIZE.ratings


def test_ids_count_from_one_and_fit_the_tables() -> None:
    rows, users, movies = make_ratings(SIZE), make_users(SIZE), make_movies(SIZE)
    for ids, table, count in [(rows.user_id, users, 1_000), (rows.movie_id, movies, 800)]:
        assert ids.dtype == np.int32
        assert ids.min() >= 1
        assert ids.max() <= count == table.rows - 1


def test_everybody_rates_as_in_movielens_and_few_rate_much() -> None:
    counts = np.bincount(make_ratings(SIZE).user_id)[1:]
    assert counts.min() >= LEAST_RATINGS
    assert counts.max() > 5 * np.median(counts)
    assert counts.max() <= SIZE.movies // 3


def test_where_there_are_too_few_everybody_still_rates() -> None:
    counts = np.bincount(make_ratings(Size(ratings=5_000, users=1_000, movies=800)).user_id)[1:]
    assert counts.min() >= 1


def test_a_few_movies_have_most_ratings() -> None:
    counts = np.sort(np.bincount(make_ratings(SIZE).movie_id, minlength=801)[1:])[::-1]
    assert counts[:80].sum() > 0.4 * SIZE.ratings
    weights = movie_weights(27_000)
    assert weights.sum() == pytest.approx(1)
    assert (np.diff(weights) < 0).all()


def test_labels_have_five_levels_that_the_user_and_the_movie_partly_explain() -> None:
    rows = make_ratings(SIZE)
    assert set(np.unique(rows.rating)) == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert rows.rating.dtype == np.float32
    sums = np.bincount(rows.movie_id, rows.rating, minlength=801)
    means = sums / np.maximum(np.bincount(rows.movie_id, minlength=801), 1)
    explained = 1 - np.var(rows.rating - means[rows.movie_id]) / np.var(rows.rating)
    assert explained > 0.2


def test_the_order_says_nothing_about_the_user() -> None:
    users = make_ratings(SIZE).user_id
    assert abs(np.corrcoef(users, np.arange(len(users)))[0, 1]) < 0.05


def test_one_seed_gives_the_same_data_and_another_does_not() -> None:
    first, again, other = (make_ratings(SIZE, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.movie_id, again.movie_id)
    np.testing.assert_array_equal(first.rating, again.rating)
    assert not np.array_equal(first.movie_id, other.movie_id)


def test_titles_and_genres_are_padded_at_the_end_and_nobody_has_none() -> None:
    for name in ("movie_title", "movie_genres"):
        column = make_movies(SIZE).columns[name]
        assert not column[0].any()
        assert (column[1:, 0] > 0).all()
        present = column > 0
        assert (present[:, :-1] >= present[:, 1:]).all()


def test_a_size_with_no_room_for_its_ratings_is_refused() -> None:
    with pytest.raises(ValueError, match="at most a quarter of all pairs"):
        Size(ratings=50_000, users=100, movies=600)
