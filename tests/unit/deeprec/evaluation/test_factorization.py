"""Implicit alternating least squares: every step is the best there is."""

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deeprec.data.tables import FloatArray
from deeprec.evaluation.factorization import ials_factors, solve

UNOBSERVED, PENALTY = 0.2, 0.05

RATED = (np.random.default_rng(1).random((20, 12)) < 0.3).astype(np.float32)
RATED[3] = 0  # has nothing
SPARSE = scipy.sparse.csr_array(RATED)


def objective(users: npt.NDArray[np.floating], items: npt.NDArray[np.floating]) -> float:
    """What iALS minimizes, as it is written."""
    scores = users @ items.T
    by_user = RATED.sum(axis=1) + UNOBSERVED * len(items)
    by_item = RATED.sum(axis=0) + UNOBSERVED * len(users)
    penalty = (by_user * (users**2).sum(axis=1)).sum() + (by_item * (items**2).sum(axis=1)).sum()
    error = (RATED * (RATED - scores) ** 2).sum()
    return float(error + UNOBSERVED * (scores**2).sum() + PENALTY * penalty)


def factors(sweeps: int) -> tuple[FloatArray, FloatArray]:
    return ials_factors(SPARSE, dimension=4, unobserved=UNOBSERVED, penalty=PENALTY, sweeps=sweeps)


def test_a_user_is_a_weighted_ridge_regression_on_the_items() -> None:
    users, items = factors(1)
    solve(users, items, SPARSE, UNOBSERVED, PENALTY)
    for user in (0, 5, 19):
        weights = np.diag(UNOBSERVED + RATED[user])
        ridge = PENALTY * (RATED[user].sum() + UNOBSERVED * 12) * np.eye(4)
        expected = np.linalg.solve(items.T @ weights @ items + ridge, items.T @ RATED[user])
        np.testing.assert_allclose(users[user], expected, rtol=1e-3, atol=1e-5)
    assert not users[3].any()


def test_every_sweep_lowers_what_is_minimized() -> None:
    losses = [objective(*factors(sweeps)) for sweeps in range(6)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[1] > losses[2]


def test_no_small_step_from_the_end_lowers_it() -> None:
    users, items = (side.astype(np.float64) for side in factors(300))
    least = objective(users, items)
    rng = np.random.default_rng(2)
    for _ in range(20):
        other_users = users + 0.01 * rng.normal(size=users.shape)
        other_items = items + 0.01 * rng.normal(size=items.shape)
        assert objective(other_users, items) > least
        assert objective(users, other_items) > least


def test_the_same_rows_give_the_same_factors() -> None:
    for one, two in zip(factors(2), factors(2), strict=True):
        np.testing.assert_array_equal(one, two)
