"""Models that score an item by the items that a user has: item kNN, EASE, SLIM.

``rated`` is a sparse float32 matrix ``X`` ``[users, items]``, see :func:`rated_matrix`. No item
stands for itself: the diagonal of every matrix of weights is zero.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.linalg.lapack
import scipy.sparse

from deeprec.data.tables import FloatArray, IntArray, Interactions

ITEMS_IN_A_BLOCK = 128


def rated_matrix(rows: Interactions, user_count: int, item_count: int) -> Any:
    """Sparse float32 ``[users, items]``: 1 where there is a row, ``log2(1 + n)`` where n are."""
    shape = (user_count, item_count)
    ones = np.ones(len(rows), np.float32)
    rated = scipy.sparse.coo_array((ones, (rows.user_id, rows.movie_id)), shape=shape).tocsr()
    rated.data = np.log2(1 + rated.data)
    return rated


def neighbor_weights(rated: Any, neighbors: int, shrinkage: float) -> Any:
    """Item kNN (Sarwar et al. 2001) by the shrunk cosine.

    ``x_i . x_j / (|x_i| |x_j| + shrinkage)``, where ``x_i`` is the column of an item.

    Args:
        rated: ``X``.
        neighbors: how many items at most, those most similar, count for an item.
        shrinkage: at least 0; the larger, the less count items that few have in common.

    Returns:
        Sparse float32 ``[items, items]``; column ``j`` has the neighbors of item ``j``.
    """
    by_item = rated.T.tocsr()
    norms = np.sqrt(by_item.power(2).sum(axis=1))
    blocks = []
    for start, items in _blocks(by_item):
        found = (items @ rated).tocsr()
        item = start + np.repeat(np.arange(items.shape[0]), np.diff(found.indptr))
        found.data /= norms[item] * norms[found.indices] + np.float32(shrinkage)
        found.data[found.indices == item] = 0.0
        for first, last in pairwise(found.indptr.tolist()):
            own, further = found.data[first:last], last - first - neighbors
            if further > 0:
                own[np.argpartition(own, further)[:further]] = 0.0
        found.eliminate_zeros()
        blocks.append(found)
    return scipy.sparse.vstack(blocks, format="csr").T.tocsr()


def ease_weights(rated: Any, penalty: float) -> FloatArray:
    """EASE (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data").

    The matrix ``B`` with a diagonal of zero that minimizes ``|X - X B|^2 + penalty * |B|^2``:
    ``-P / diag(P)`` off the diagonal, where ``P`` is the inverse of ``X' X + penalty * I``. It
    takes 4 bytes and as many operations as there are items, for each pair of items.

    Args:
        rated: ``X``.
        penalty: above 0.

    Returns:
        float32 ``[items, items]``.
    """
    weights = _inverse(gram_matrix(rated.T.tocsr()), penalty)
    weights /= -np.diag(weights)
    np.fill_diagonal(weights, 0.0)
    return weights


def ease_scores(rated: Any, penalty: float) -> Callable[[IntArray], FloatArray]:
    """What EASE scores for users, ``X B``, by the smaller of two inverses.

    Where there are fewer users than items that is ``K``, of ``X X' + penalty * I``: as
    ``X P = K X``, the scores are ``X - K X / diag(P)``, where ``diag(P)`` is
    ``(1 - x_j' K x_j) / penalty``.
    """
    if rated.shape[0] >= rated.shape[1]:
        weights = ease_weights(rated, penalty)
        return lambda users: np.asarray(rated[users] @ weights, np.float32)
    kernel = _inverse(gram_matrix(rated), penalty)
    by_item = rated.T.tocsr()
    own = [items.multiply(items @ kernel).sum(axis=1) for _, items in _blocks(by_item)]
    diagonal = (1 - np.concatenate(own)) / penalty

    def score(users: IntArray) -> FloatArray:
        explained = (by_item @ kernel[users].T).T
        return np.asarray(rated[users].toarray() - explained / diagonal, np.float32)

    return score


def slim_weights(gram: FloatArray, l1: float, l2: float, sweeps: int = 8) -> FloatArray:
    """SLIM (Ning and Karypis 2011): few weights, none below zero, by coordinate descent.

    The matrix ``W`` that minimizes ``|X - X W|^2 / 2 + l2 * |W|^2 / 2 + l1 * sum(W)``. One row
    after the other is set to its optimum for all columns at once. What the others explain is
    computed for a block of rows together.

    Args:
        gram: ``X' X``, float32 ``[items, items]``.
        l1: at least 0.
        l2: above 0.
        sweeps: how often every row is set.

    Returns:
        float32 ``[items, items]``.
    """
    weights = np.zeros_like(gram)
    scale = np.diag(gram) + np.float32(l2)
    for _ in range(sweeps):
        for start in range(0, len(gram), ITEMS_IN_A_BLOCK):
            block = slice(start, start + ITEMS_IN_A_BLOCK)
            inner = gram[block, block]
            rest = gram[block] - gram[block] @ weights
            for place, row in enumerate(range(start, start + len(inner))):
                own = rest[place] + gram[row, row] * weights[row]
                new = np.maximum(own - l1, 0) / scale[row]
                new[row] = 0.0
                rest -= inner[:, place, None] * (new - weights[row])
                weights[row] = new
    return weights


def gram_matrix(vectors: Any) -> FloatArray:
    """The products of all pairs of rows of a sparse matrix, float32 ``[rows, rows]``."""
    columns = vectors.T.tocsr()
    gram = np.empty((vectors.shape[0], vectors.shape[0]), np.float32)
    for start, rows in _blocks(vectors):
        gram[start : start + rows.shape[0]] = (rows @ columns).toarray()
    return gram


def _inverse(gram: FloatArray, penalty: float) -> FloatArray:
    """The inverse of ``gram + penalty * I``, in its place.

    Raises:
        ValueError: it has none: the penalty is too small for float32.
    """
    gram[np.diag_indices_from(gram)] += penalty
    # LAPACK's columns are rows here; its lower triangle is the upper one.
    factor, failed = scipy.linalg.lapack.spotrf(gram.T, lower=1, overwrite_a=1, clean=0)
    if not failed:
        inverse, failed = scipy.linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ValueError(f"penalty must be larger but got {penalty:g}: there is no inverse")
    for start in range(0, len(inverse), ITEMS_IN_A_BLOCK):  # the upper triangle of the lower one
        end = start + ITEMS_IN_A_BLOCK
        inverse[start:end, end:] = inverse[end:, start:end].T
        block = inverse[start:end, start:end]
        block[:] = np.tril(block) + np.tril(block, -1).T
    return np.asarray(inverse.T)


def _blocks(matrix: Any) -> Iterator[tuple[int, Any]]:
    """Some rows of a sparse matrix at a time, each with where they start."""
    for start in range(0, matrix.shape[0], ITEMS_IN_A_BLOCK):
        yield start, matrix[start : start + ITEMS_IN_A_BLOCK]
