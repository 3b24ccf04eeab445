"""What settings of an approximate index find of the ten best items, and what they take.

``python -m tests.experiments index random|clustered|FOLDER --items 1000000 [--dimension 32]
[--connectivity 32] [--expansion-add 200] [--metric ip] [--number f16]`` makes one and asks it, one
query after another, among more and more items (``expansion``). What it finds is ranked by its exact
scores, as a recommender does. FOLDER is one of a recommender: trained embeddings, the queries those
of known users; where it has fewer items, others alike are added, each between two of them.

``random`` are independent normal numbers, the hardest there are. ``clustered`` items lie around
centers, some of which have many more than others; some directions matter more, and lengths differ.
A query lies between three items there.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deeprec.data.tables import FloatArray
from deeprec.recommender import Recommender

LIST, QUERIES = 10, 300
EXPANSIONS = (64, 128, 192, 256, 384, 512)


def main(arguments: list[str]) -> None:
    """Prints a line for the index, and one for each number of items that a query looks among."""
    parser = argparse.ArgumentParser(prog="index", description=__doc__)
    parser.add_argument("embeddings")
    parser.add_argument("--items", type=int, default=68_509)
    parser.add_argument("--dimension", type=int, default=32)
    parser.add_argument("--connectivity", type=int, default=32)
    parser.add_argument("--expansion-add", type=int, default=200)
    parser.add_argument("--metric", default="ip")
    parser.add_argument("--number", default="f16")
    given = parser.parse_args(arguments)
    rng = np.random.default_rng(1)
    if given.embeddings in MADE:
        items, queries = MADE[given.embeddings](given.items, given.dimension, rng)
    else:
        items, queries = trained(Path(given.embeddings), given.items, rng)
    for line in measured(items, queries, given):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def measured(items: FloatArray, queries: FloatArray, given: Any) -> Iterator[str]:
    """Lines for people."""
    from usearch.index import Index

    index = Index(
        ndim=items.shape[1],
        metric=given.metric,
        dtype=given.number,
        connectivity=given.connectivity,
        expansion_add=given.expansion_add,
        enable_key_lookups=False,
    )
    made = _seconds(lambda: index.add(np.arange(len(items), dtype=np.uint64), items))
    yield (
        f"{len(items):,} items by {items.shape[1]}, {given.metric}, {given.number}, connectivity "
        f"{given.connectivity}, expansion_add {given.expansion_add}: made in {made:.1f} s"
    )
    best = [np.argpartition(-(items @ query), LIST)[:LIST] for query in queries]
    for expansion in EXPANSIONS:
        times, hits = [], 0
        for query, own in zip(queries, best, strict=True):
            started = time.perf_counter()
            rows = index.search(query, expansion, threads=1).keys.astype(np.int64)
            top = rows[np.argsort(-(items[rows] @ query))[:LIST]]
            times.append((time.perf_counter() - started) * 1e3)
            hits += len(np.intersect1d(own, top))
        p50, p99 = np.percentile(times, [50, 99])
        share = hits / (LIST * len(queries))
        yield f"expansion {expansion}: {share:.2%} of the ten best, p50 {p50:.2f} ms, p99 {p99:.2f}"


def random(items: int, dimension: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Items and queries in all directions alike."""
    return _normal(rng, items, dimension), _normal(rng, QUERIES, dimension)


def clustered(
    items: int, dimension: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Items around centers, and queries between items."""
    weights = (1 / np.sqrt(np.arange(1, dimension + 1))).astype(np.float32)
    count = max(items // 200, 10)
    shares = 1 / np.arange(1, count + 1) ** 0.8
    own = rng.choice(count, size=items, p=shares / shares.sum())
    found = _normal(rng, count, dimension)[own] + 0.4 * _normal(rng, items, dimension)
    found *= weights * rng.lognormal(0, 0.35, (items, 1)).astype(np.float32)
    three = found[rng.integers(0, items, (QUERIES, 3))]
    three /= np.linalg.norm(three, axis=-1, keepdims=True)
    mixed = np.einsum("qnd,qn->qd", three, rng.dirichlet(np.ones(3), QUERIES))
    return found, (mixed + 0.15 * weights * _normal(rng, QUERIES, dimension)).astype(np.float32)


def trained(folder: Path, items: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Those of a recommender, and more like them."""
    recommender = Recommender.load(folder)
    reserved = recommender.audience.reserved
    found = recommender.candidates[reserved:]
    known = np.linspace(reserved, recommender.audience.table.rows - 1, QUERIES).astype(np.int32)
    queries = recommender.query_model(recommender.audience.table.take(known))
    more = max(items - len(found), 0)
    one, other = rng.integers(0, len(found), (2, more))
    share = rng.uniform(0.6, 1, (more, 1)).astype(np.float32)
    between = share * found[one] + (1 - share) * found[other]
    return np.concatenate([found, between])[:items], np.asarray(queries, np.float32)


MADE = {"random": random, "clustered": clustered}


def _normal(rng: np.random.Generator, rows: int, columns: int) -> FloatArray:
    return rng.standard_normal((rows, columns), np.float32)


def _seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
