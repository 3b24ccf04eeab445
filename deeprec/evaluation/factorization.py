"""Implicit alternating least squares: a matrix factorization that is fitted in closed steps."""

from typing import Any

import numpy as np
import scipy.linalg.lapack

from deeprec.data.tables import FloatArray

INITIAL_DEVIATION = 0.1


def ials_factors(
    rated: Any, *, dimension: int, unobserved: float, penalty: float, sweeps: int = 8
) -> tuple[FloatArray, FloatArray]:
    """IALS (Hu et al. 2008), as Rendle et al. tune it.

    See "Revisiting the Performance of iALS on Item Recommendation Benchmarks" (2021). With ``w_u``
    and ``h_i`` the vectors of users and items, minimizes

    ``sum over rated (x_ui - w_u . h_i)^2 + unobserved * sum over all (w_u . h_i)^2``
    ``+ penalty * (sum over u of (n_u + unobserved * items) * |w_u|^2 + the same of items)``:

    a penalty that grows with the number ``n_u`` of ratings (their ``nu`` is 1). Initial numbers are
    normal, of a deviation of 0.1 over the root of the dimension.

    Args:
        rated: sparse float32 ``X`` ``[users, items]``.
        dimension: of the vectors.
        unobserved: weight of what is not rated, their ``alpha_0``, above 0.
        penalty: above 0.
        sweeps: how often all users and all items are solved.

    Returns:
        float32 ``[users, dimension]`` and ``[items, dimension]``.
    """
    rng = np.random.default_rng(0)
    deviation = INITIAL_DEVIATION / np.sqrt(dimension)
    users, items = (
        rng.normal(0, deviation, (count, dimension)).astype(np.float32) for count in rated.shape
    )
    by_item = rated.T.tocsr()
    for _ in range(sweeps):
        solve(users, items, rated, unobserved, penalty)
        solve(items, users, by_item, unobserved, penalty)
    return users, items


def solve(
    own: FloatArray, others: FloatArray, rated: Any, unobserved: float, penalty: float
) -> None:
    """Sets every row of ``own`` to what is best for given ``others``: a ridge regression.

    ``rated`` is sparse ``[own, others]``.
    """
    common = unobserved * (others.T @ others)
    diagonal = np.diag_indices_from(common)
    bounds = rated.indptr.tolist()
    for row in range(len(own)):
        there = slice(bounds[row], bounds[row + 1])
        vectors = others[rated.indices[there]]
        matrix = common + vectors.T @ vectors
        matrix[diagonal] += penalty * (len(vectors) + unobserved * len(others))
        _, own[row], _ = scipy.linalg.lapack.sposv(
            matrix, vectors.T @ rated.data[there], overwrite_a=1, overwrite_b=1
        )
