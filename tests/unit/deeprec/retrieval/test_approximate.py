"""The index itself: what it finds, and its file."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from deeprec.data.tables import FloatArray
from deeprec.errors import DataError
from deeprec.retrieval.approximate import EXPANSION, Index

ITEMS, DIMENSION = 4_000, 16
RESERVED = 2


@pytest.fixture(scope="module")
def embeddings() -> FloatArray:
    """Clusters of items; some embeddings are ten times as long as others."""
    rng = np.random.default_rng(1)
    centers = rng.normal(size=(50, DIMENSION))[rng.integers(0, 50, ITEMS)]
    lengths = rng.uniform(0.2, 2, size=(ITEMS, 1))
    return (lengths * (centers + 0.5 * rng.normal(size=(ITEMS, DIMENSION)))).astype(np.float32)


@pytest.fixture(scope="module")
def queries() -> FloatArray:
    return np.random.default_rng(2).normal(size=(100, DIMENSION)).astype(np.float32)


@pytest.fixture(scope="module")
def index(embeddings: FloatArray) -> Index:
    return Index.of(embeddings, RESERVED)


def test_nearly_all_of_the_highest_dot_products_are_near(
    index: Index, embeddings: FloatArray, queries: FloatArray
) -> None:
    best = np.argsort(-(queries @ embeddings[RESERVED:].T), axis=1)[:, :10] + RESERVED
    asked = zip(best, queries, strict=True)
    found = [np.isin(own, index.near(query, EXPANSION)) for own, query in asked]
    assert np.mean(found) > 0.95


def test_rows_that_are_no_items_are_not_in_it(index: Index, queries: FloatArray) -> None:
    everything = index.near(queries[0], ITEMS)
    assert everything.min() == RESERVED
    assert len(np.unique(everything)) == len(everything)


def test_it_is_the_same_after_loading(
    index: Index, embeddings: FloatArray, queries: FloatArray, tmp_path: Path
) -> None:
    index.save(tmp_path / "index")
    loaded = Index.load(tmp_path / "index", embeddings, RESERVED)
    for query in queries:
        np.testing.assert_array_equal(loaded.near(query, 50), index.near(query, 50))


def test_an_index_of_other_embeddings_is_refused(
    index: Index, embeddings: FloatArray, tmp_path: Path
) -> None:
    index.save(tmp_path / "index")
    with pytest.raises(DataError, match="3,997 items by 16 numbers but has 3,998 by 16"):
        Index.load(tmp_path / "index", embeddings[1:], RESERVED)
    with pytest.raises(DataError, match="3,998 items by 15 numbers but has 3,998 by 16"):
        Index.load(tmp_path / "index", embeddings[:, 1:], RESERVED)


def test_several_threads_may_ask_at_once(index: Index, queries: FloatArray) -> None:
    expected = [index.near(query, 50).tolist() for query in queries]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert [*pool.map(lambda query: index.near(query, 50).tolist(), queries)] == expected
