"""An approximate index of items, by usearch: for catalogs too large to score whole at a request."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np

from deeprec.data.tables import FloatArray, IntArray
from deeprec.errors import DataError

CONNECTIVITY, EXPANSION_ADD = 32, 200
"""Of the graph: neighbors of an item, and items among which they are looked for."""

EXPANSION = 192
"""Items among which a query looks for its nearest ones, beside those that it must leave out."""

ONE_IN = 500
"""To look among one item in so many by an index takes about as long as to score all."""

PACKAGE = "usearch"
INSTALL = "pip install '.[ann]'"


def is_installed() -> bool:
    """Whether an index can be made and read."""
    return find_spec(PACKAGE) is not None


@dataclass(frozen=True)
class Index:
    """Finds items whose dot products with a query are among the highest, and misses a few.

    usearch takes one search at a time; others wait.
    """

    graph: Any

    @classmethod
    def of(cls, embeddings: FloatArray, reserved: int) -> Self:
        """The index of all items but the first, which are reserved; by all cores.

        Args:
            embeddings: float32 ``[items, dimension]``.
            reserved: how many rows are no items.
        """
        graph = _graph(embeddings.shape[1])
        rows = np.arange(reserved, len(embeddings), dtype=np.uint64)
        graph.add(rows, embeddings[reserved:])
        return cls(graph)

    @classmethod
    def load(cls, path: Path, embeddings: FloatArray, reserved: int) -> Self:
        """The index of these embeddings in a file, which is believed.

        Raises:
            DataError: it is no index, or one of other embeddings.
        """
        graph = _graph(embeddings.shape[1])
        graph.load(str(path))
        expected = (len(embeddings) - reserved, embeddings.shape[1])
        if (len(graph), graph.ndim) != expected:
            raise DataError(
                f"{path} must be an index of {expected[0]:,} items by {expected[1]} numbers but "
                f"has {len(graph):,} by {graph.ndim}"
            )
        return cls(graph)

    def save(self, path: Path) -> None:
        """Writes it into a file."""
        self.graph.save(str(path))

    def near(self, query: FloatArray, count: int) -> IntArray:
        """So many rows of items that are near a query, in no order that counts.

        Args:
            query: float32 ``[dimension]``.
            count: the more, the surer the first of them are the nearest.
        """
        found = self.graph.search(query, count, threads=1)
        return found.keys.astype(np.int32)


def _graph(dimension: int) -> Any:
    from usearch.index import Index as Graph

    return Graph(
        ndim=dimension,
        metric="ip",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        enable_key_lookups=False,
    )
