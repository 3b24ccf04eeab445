"""The ratings of each user, highest and newest first."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deeprec.data.tables import Interactions
from deeprec.recommender.history import History

RATED = st.tuples(
    st.integers(1, 5),
    st.integers(1, 9),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 2**32 - 1),
)


def interactions(rows: list[tuple[int, int, float, int]]) -> Interactions:
    user, movie, rating, timestamp = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Interactions(
        user_id=np.array(user, np.int32),
        movie_id=np.array(movie, np.int32),
        rating=np.array(rating, np.float32),
        timestamp=np.array(timestamp, np.uint32),
    )


@given(rows=st.lists(RATED, max_size=30))
def test_every_rating_is_found_with_its_user_in_order(
    rows: list[tuple[int, int, float, int]],
) -> None:
    history = History.of(interactions(rows), users=7)
    for user in range(7):
        own = sorted((-rating, -time, movie) for u, movie, rating, time in rows if u == user)
        movies, ratings = history.of_user(user)
        assert ratings.tolist() == [-rating for rating, _, _ in own]
        assert sorted(movies.tolist()) == sorted(movie for _, _, movie in own)


def test_of_equal_ratings_the_newest_comes_first() -> None:
    history = History.of(
        interactions([(1, 1, 0.5, 9), (1, 2, 1.0, 1), (1, 3, 1.0, 2), (2, 4, 1.0, 5)]), users=4
    )
    assert history.of_user(1)[0].tolist() == [3, 2, 1]
    assert history.of_user(2)[0].tolist() == [4]
    assert history.of_user(3)[0].tolist() == []
