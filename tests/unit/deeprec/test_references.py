"""Popularity, worked by hand."""

import numpy as np
import pytest

from deeprec.references import popularity_accuracy, popularity_scores
from deeprec.tables import Interactions


def ratings(*rows: tuple[int, int, float]) -> Interactions:
    users, movies, stars = zip(*rows, strict=True)
    return Interactions(
        user_id=np.array(users, np.int32),
        movie_id=np.array(movies, np.int32),
        rating=np.array(stars, np.float32),
        timestamp=np.zeros(len(rows), np.uint32),
    )


TRAIN = ratings((1, 2, 1.0), (2, 2, 1.0), (3, 3, 1.0), (1, 1, 0.75), (2, 1, 0.75), (3, 1, 0.5))


def test_popularity_counts_five_star_ratings_alone() -> None:
    assert popularity_scores(TRAIN, 5).tolist() == [0, 0, 2, 1, 0]


def test_popularity_accuracy_is_the_share_of_liked_rows_among_the_most_popular() -> None:
    evaluated = ratings((4, 2, 1.0), (5, 3, 1.0), (6, 4, 1.0), (7, 2, 0.5), (8, 2, 1.0))
    assert popularity_accuracy(TRAIN, evaluated, 5, k=1) == pytest.approx(2 / 4)
    assert popularity_accuracy(TRAIN, evaluated, 5, k=2) == pytest.approx(3 / 4)
