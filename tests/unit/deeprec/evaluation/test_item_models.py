"""Models that score an item by the items that a user has: by hand, and by what they minimize."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse

from deeprec.evaluation import item_models
from deeprec.evaluation.item_models import (
    ease_scores,
    ease_weights,
    gram_matrix,
    neighbor_weights,
    rated_matrix,
    slim_weights,
)
from tests.synthetic import interactions_of


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has few items be more than one block."""
    monkeypatch.setattr(item_models, "ITEMS_IN_A_BLOCK", 4)


def random_matrix(users: int, items: int, seed: int = 1) -> npt.NDArray[np.float32]:
    return (np.random.default_rng(seed).random((users, items)) < 0.4).astype(np.float32)


def sparse(dense: Any) -> Any:
    return scipy.sparse.csr_array(np.asarray(dense, np.float32))


def test_what_a_user_has_once_is_1_and_the_third_time_makes_it_2() -> None:
    rows = interactions_of((1, 2, 1.0), (2, 1, 1.0), (2, 1, 1.0), (2, 1, 1.0))
    assert rated_matrix(rows, 3, 4).toarray().tolist() == [[0, 0, 0, 0], [0, 0, 1, 0], [0, 2, 0, 0]]


# Three users have the items 0 and 1, one of them item 2 as well, and one item 2 alone.
RATED = [[1, 1, 0], [1, 1, 0], [1, 1, 1], [0, 0, 1]]


def test_the_cosine_of_three_items_by_hand() -> None:
    # In common: 3, 1, 1; counts 3, 3, 2.
    far = 1 / np.sqrt(6)
    expected = [[0, 1, far], [1, 0, far], [far, far, 0]]
    np.testing.assert_allclose(neighbor_weights(sparse(RATED), 5, 0).toarray(), expected, rtol=1e-6)


def test_the_cosine_is_shrunk_where_little_is_in_common() -> None:
    near, far = 3 / (3 + 2), 1 / (np.sqrt(6) + 2)
    expected = [[0, near, far], [near, 0, far], [far, far, 0]]
    np.testing.assert_allclose(neighbor_weights(sparse(RATED), 5, 2).toarray(), expected, rtol=1e-6)


def test_an_item_has_its_nearest_neighbors_in_its_column() -> None:
    weights = neighbor_weights(sparse([*RATED, [0, 1, 1]]), 1, 0).toarray()
    # In common: 3 of (3, 4), 1 of (3, 3), 2 of (4, 3).
    assert (weights > 0).tolist() == [[False, True, False], [True, False, True], [False] * 3]


@pytest.mark.parametrize("neighbors", [1, 3, 20])
def test_the_neighbors_of_many_items_are_the_most_similar(neighbors: int) -> None:
    dense = random_matrix(30, 11)
    gram = dense.T @ dense
    cosine = gram / (np.sqrt(np.outer(np.diag(gram), np.diag(gram))) + 3)
    np.fill_diagonal(cosine, 0)
    weights = neighbor_weights(sparse(dense), neighbors, 3).toarray()
    for item in range(11):
        best = np.sort(cosine[:, item])[::-1][:neighbors]
        found = np.sort(weights[:, item])[::-1][: len(best)]
        np.testing.assert_allclose(found, best, rtol=1e-5)
        kept = weights[:, item] > 0
        np.testing.assert_allclose(weights[kept, item], cosine[kept, item], rtol=1e-5)
        assert kept.sum() <= neighbors


def test_ease_of_two_movies_by_hand() -> None:
    # Two of three who rate the first rate the second: X'X = [[3, 2], [2, 2]], penalty 1.
    rated = sparse([[1, 1], [1, 1], [1, 0]])
    # The weight of the other is 2 / (its count + 1): of the second 2/3, of the first 2/4.
    np.testing.assert_allclose(ease_weights(rated, 1.0), [[0, 0.5], [2 / 3, 0]], atol=1e-6)


def test_ease_is_what_minimizes_the_error() -> None:
    dense = random_matrix(30, 6)
    weights = ease_weights(sparse(dense), 3.0)
    for movie in range(6):
        others = [other for other in range(6) if other != movie]
        x, y = dense[:, others], dense[:, movie]
        ridge = np.linalg.solve(x.T @ x + 3.0 * np.eye(5), x.T @ y)
        np.testing.assert_allclose(weights[others, movie], ridge, atol=1e-5)
    assert not np.diag(weights).any()


@pytest.mark.parametrize(("users", "items"), [(30, 9), (9, 30), (10, 10)])
def test_ease_scores_the_same_by_either_inverse(users: int, items: int) -> None:
    dense = random_matrix(users, items)
    expected = dense @ ease_weights(sparse(dense), 5.0)
    asked = np.array([3, 0, 7], np.int32)
    found = ease_scores(sparse(dense), 5.0)(asked)
    np.testing.assert_allclose(found, expected[asked], atol=1e-5)


def test_a_penalty_that_leaves_no_inverse_is_refused() -> None:
    with pytest.raises(ValueError, match=r"penalty must be larger but got 1e-12"):
        ease_weights(sparse(np.ones((5, 3))), 1e-12)


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 1.0), (0.5, 1.0), (2.0, 10.0), (50.0, 1.0)])
def test_slim_meets_the_conditions_of_its_optimum(l1: float, l2: float) -> None:
    """Karush, Kuhn, Tucker: where a weight is above 0 the slope is 0, elsewhere not below 0."""
    dense = random_matrix(40, 9)
    weights = slim_weights(gram_matrix(sparse(dense.T)), l1, l2, sweeps=100)
    slope = dense.T @ (dense @ weights - dense) + l2 * weights + l1
    np.fill_diagonal(slope, 0.0)
    assert (weights >= 0).all()
    assert not np.diag(weights).any()
    np.testing.assert_allclose(slope[weights > 0], 0, atol=1e-3)
    assert slope.min() > -1e-3
    assert (weights == 0).all() == (l1 == 50.0)


def test_every_sweep_of_slim_lowers_what_is_minimized() -> None:
    dense = random_matrix(40, 9)
    gram = gram_matrix(sparse(dense.T))

    def loss(sweeps: int) -> float:
        weights = slim_weights(gram, 0.5, 2.0, sweeps)
        error = ((dense - dense @ weights) ** 2).sum() / 2
        return float(error + (weights**2).sum() + 0.5 * weights.sum())

    losses = [loss(sweeps) for sweeps in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[1]


def test_products_of_all_pairs_are_those_of_the_dense_matrix() -> None:
    dense = random_matrix(11, 7)
    np.testing.assert_allclose(gram_matrix(sparse(dense)), dense @ dense.T)
