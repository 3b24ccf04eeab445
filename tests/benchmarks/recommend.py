"""Recommending to all users of a catalog: against exact NumPy, and against implicit's top lists.

The same task for each: from the embeddings of a block of users to the ten best items of each, what
the user has seen left out. Ours also computes the embeddings, and reads the requests one by one.
``implicit`` and ``usearch`` are measured where they are installed; nothing else needs them.
"""

import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from deeprec.config import ModelConfig
from deeprec.data.audience import Audience, Request
from deeprec.data.tables import FloatArray, IntArray, Interactions
from deeprec.model.retrieval import RetrievalModel
from deeprec.recommender import Recommender
from deeprec.recommender_files import History
from deeprec.retrieval.approximate import is_installed
from deeprec.serving_costs import index_costs
from tests.benchmarks.harness import Result, call
from tests.benchmarks.ratings import Size, make_movies, make_ratings, make_users

LIST = 10
RATINGS_OF_A_USER = 60
NUMPY_BLOCK = 1 << 24
REQUESTS, WARM_UP = 500, 20

SIZES = {1_682: 20_000, 68_509: 2_000, 1_000_000: 200}
"""Items of MovieLens 100K, of Complete Journey and of a large shop, and users that are timed."""


def measure(*, quick: bool) -> list[Result]:
    """Each size in a process of its own, so that the one does not heat the other's caches."""
    sizes = {300: 200} if quick else SIZES
    results = []
    for items, users in sizes.items():
        found = call("recommend:run", {"items": items, "users": users})
        for name, label in (("numpy", "NumPy"), ("implicit", "implicit")):
            if name in found:
                results.append(
                    Result(
                        what=f"users a second, {items:,} items",
                        ours=found["ours"],
                        unit="users/s",
                        against=found[name],
                        opponent=label,
                        at_least=1.0,
                        is_rate=True,
                        note=f"best of 3; ten items each of {users:,} users, seen ones left out",
                    )
                )
        results += _of_requests(found, items)
    return results


def _of_requests(found: Mapping[str, float], items: int) -> Iterator[Result]:
    """Single requests, all items scored, beside those that an index answers."""
    note = (
        f"the index is made in {found['made']:.0f} s and finds {found['recall']:.1%} of the ten "
        "best of random embeddings, the hardest there are"
        if "recall" in found
        else ""
    )
    for name in ("p50", "p99"):
        yield Result(
            what=f"{name} of a request in this process, {items:,} items",
            ours=found[name],
            unit="ms",
            against=found.get(f"index_{name}"),
            opponent="from the index",
            note=note if name == "p50" else "",
        )


def run(*, items: int, users: int) -> dict[str, float]:
    """Users a second of each, and the times of single requests in milliseconds."""
    recommender = made(items, users)
    rows = np.arange(1, users + 1, dtype=np.int32)
    batch = recommender.audience.table.take(rows)
    queries = np.asarray(recommender.query_model(batch), np.float32)

    def ours() -> None:
        for _ in recommender.ranked(Request(int(row), LIST) for row in rows):
            pass

    others: dict[str, Callable[[], Any]] = {"numpy": lambda: brute_force(recommender, queries)}
    if (ranked := with_implicit(recommender, queries)) is not None:
        others["implicit"] = ranked
    best = {name: min(_seconds(each) for _ in range(3)) for name, each in others.items()}
    ours()  # compiles
    best["ours"] = min(_seconds(ours) for _ in range(3))
    return {
        **{name: users / seconds for name, seconds in best.items()},
        **_times(recommender, rows),
        **by_index(recommender, rows),
    }


def by_index(recommender: Recommender, rows: IntArray) -> dict[str, float]:
    """An approximate index: how long it takes to make and to ask, and what it finds."""
    if not is_installed():
        return {}
    started = time.perf_counter()
    indexed = recommender.indexed()
    made = time.perf_counter() - started
    return {
        "made": made,
        "recall": index_costs(indexed)["index_recall_at_10"],
        **{f"index_{name}": each for name, each in _times(indexed, rows).items()},
    }


def _times(recommender: Recommender, rows: IntArray) -> dict[str, float]:
    """Percentiles of the milliseconds that a request takes."""
    times = [_seconds(partial(recommender.recommend, row, LIST)) for row in _some(rows)]
    p50, p99 = np.percentile(times[WARM_UP:], [50, 99]) * 1e3
    return {"p50": float(p50), "p99": float(p99)}


def _some(rows: Any) -> list[int]:
    return [int(rows[n % len(rows)]) for n in range(WARM_UP + REQUESTS)]


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def made(items: int, users: int) -> Recommender:
    """Random towers on made-up data; the embeddings of the items are random, too."""
    size = Size(ratings=users * min(RATINGS_OF_A_USER, items // 4), users=users, movies=items)
    table, ratings = make_users(size), make_ratings(size)
    model = RetrievalModel.for_tables(
        table, make_movies(Size(ratings=1, users=1, movies=4)), ModelConfig(), seed=1
    )
    rng = np.random.default_rng(1)
    dimension = model.query_model.dimension
    return Recommender(
        query_model=model.query_model,
        candidate_model=model.candidate_model,
        audience=Audience(
            data_name="made up",
            table=table,
            ids=np.arange(table.rows, dtype=np.int32),
            encoder=None,
            reserved=1,
        ),
        movie_ids=np.arange(items + 1, dtype=np.int32),
        titles=tuple(f"item {n}" for n in range(items + 1)),
        candidates=rng.normal(size=(items + 1, dimension)).astype(np.float32),
        history=History.of(_sorted(ratings), table.rows),
        stars=(1, 5),
    )


def _sorted(ratings: Interactions) -> Interactions:
    return ratings[np.argsort(ratings.user_id, kind="stable")]


def brute_force(recommender: Recommender, queries: FloatArray) -> None:
    """Every score of a block of users, the best ten by a partition."""
    items = len(recommender.titles)
    block = max(NUMPY_BLOCK // items, 1)
    for start in range(0, len(queries), block):
        scores = queries[start : start + block] @ recommender.candidates.T
        scores[:, 0] = -np.inf
        for place, own in enumerate(scores):
            own[recommender.history.of_user(start + place + 1)[0]] = -np.inf
        best = np.argpartition(-scores, LIST, axis=1)[:, :LIST]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
        np.take_along_axis(best, order, 1)


def with_implicit(recommender: Recommender, queries: FloatArray) -> Callable[[], Any] | None:
    """What implicit's models call to recommend by their factors, on all cores."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if importlib.util.find_spec("implicit") is None:
        return None
    topk = importlib.import_module("implicit.cpu.topk").topk
    from scipy.sparse import csr_matrix

    history, users = recommender.history, len(queries)
    known = csr_matrix(
        (
            np.ones(len(history.movies), np.float32),
            history.movies,
            history.starts[1:].astype(np.int32),
        ),
        shape=(users, len(recommender.titles)),
    )
    return lambda: topk(
        recommender.candidates, queries, LIST, filter_query_items=known, num_threads=0
    )
