"""What a linear autoencoder makes of the rows, in closed form, as embeddings of two towers.

Of what users like, ``X`` ``[users, items]``, the weights ``B`` of rank ``r`` that minimize ``|X - X
B|^2 + penalty * |B|^2`` are ``V diag(s^2 / (s^2 + penalty)) V'``, with the ``r`` largest singular
values ``s`` of ``X`` and their vectors ``V``. So the rows of ``V diag(sqrt(s^2 / (s^2 +
penalty)))`` are embeddings of the items of a history as well as of the candidates. EASE (Steck
2019) is the same but for a diagonal of zero, which matters little where what a user has is left
out, and of full rank. A user who is known by an id has the sum of the embeddings of what the
training says is liked, over the root of how much that is, as a history has.
"""

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from deeprec.config import TrainingConfig
from deeprec.data.history import LIKED_FROM
from deeprec.data.tables import FloatArray, Interactions
from deeprec.model.retrieval import RetrievalModel
from deeprec.model.towers import SpectralEmbedding
from deeprec.training.device_data import DeviceData

DENSE_BELOW = 5_000
"""Users or items, whichever are fewer, of which all pairs are counted: several times as fast as
Lanczos with 1,732 users, 92,350 items and 512 dimensions."""


def set_spectral(model: RetrievalModel, data: DeviceData, config: TrainingConfig) -> None:
    """Gives the towers of a model the embeddings that are in closed form, where they have such.

    Users with as many items as the mean user have about the scores of ``X B``, times the weight.

    Args:
        model: built for the tables of the data.
        data: of whose rows to learn from those that are liked count.
        config: the penalty and the weight.
    """
    query, candidate = model.query_model.spectral, model.candidate_model.spectral
    if query is None or candidate is None:
        return
    dimension = model.candidate_model.spectral_dimension
    liked = data.once("liked", lambda: liked_matrix(data.source.train, model.candidate_count))
    squares, vectors = data.once(("vectors", dimension), lambda: singular_vectors(liked, dimension))
    items = vectors * np.sqrt(squares / (squares + config.spectral_penalty))
    counts = liked.sum(axis=1)
    items *= (counts.sum() / max(np.count_nonzero(counts), 1)) ** 0.25
    _fill(candidate, items)
    queries = config.spectral_weight * items
    if query.known_by.kind == "id":
        queries = (liked @ queries) / np.sqrt(np.maximum(counts, 1))[:, None]
    _fill(query, queries)


def _fill(embedding: SpectralEmbedding, rows: FloatArray) -> None:
    """Sets the table; what it has no row of stays zeros."""
    (table,) = embedding.weights
    filled = np.zeros(table.shape, np.float32)
    known = min(len(filled), len(rows))
    filled[:known] = rows[:known]
    table.assign(filled)


def liked_matrix(rows: Interactions, items: int) -> Any:
    """1 where a user likes an item, sparse float32 ``[users, items]``."""
    liked = rows[rows.rating >= LIKED_FROM]
    shape = (int(rows.user_id.max(initial=0)) + 1, items)
    ones = np.ones(len(liked), np.float32)
    found = scipy.sparse.coo_array((ones, (liked.user_id, liked.movie_id)), shape=shape).tocsr()
    found.data[:] = 1
    return found


def singular_vectors(liked: Any, rank: int) -> tuple[FloatArray, FloatArray]:
    """The largest squared singular values, ``[rank]``, and their right vectors ``[items, rank]``.

    Zeros where the rank of ``liked`` ends, or where fewer than two users like anything.
    """
    liked = liked[liked.sum(axis=1) > 0]
    found = min(rank, min(liked.shape) - 1)
    squares, vectors = np.zeros(rank, np.float32), np.zeros((liked.shape[1], rank), np.float32)
    if found < 1:
        return squares, vectors
    if min(liked.shape) > DENSE_BELOW:
        _, values, rows = scipy.sparse.linalg.svds(liked, k=found, return_singular_vectors="vh")
        squares[:found], vectors[:, :found] = np.square(values), rows.T
    elif liked.shape[0] <= liked.shape[1]:
        squares[:found], left = _largest((liked @ liked.T).toarray(), found)
        vectors[:, :found] = liked.T @ (left / np.sqrt(squares[:found]))
    else:
        squares[:found], vectors[:, :found] = _largest((liked.T @ liked).toarray(), found)
    return squares, vectors


def _largest(gram: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """The largest eigenvalues, at least a little above 0, and their vectors."""
    ends = (len(gram) - count, len(gram) - 1)
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=ends)
    return np.maximum(values, np.finfo(np.float32).eps), vectors
