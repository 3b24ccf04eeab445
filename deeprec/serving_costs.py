"""What a model costs in use: its size as it is saved, and the time that a request takes."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from deeprec.data.audience import shown_id
from deeprec.recommender import Recommender

LIST = 10  # how many items a request asks for
WARM_UP = 20  # requests that are not timed: the first one compiles
TIMED = 200  # requests, by so many different known users where there are as many
LEAST_RECALL = 0.95  # of an index that is used


def megabytes(recommender: Recommender) -> float:
    """The size of all files of the recommender's folder, in millions of bytes.

    It is saved into a temporary folder, which is gone afterwards. The size follows from the
    architecture and from the data, not from what training made of the weights.
    """
    with tempfile.TemporaryDirectory(prefix="deeprec-size-") as temporary:
        folder = Path(temporary) / "recommender"
        recommender.save(folder)
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def milliseconds(recommender: Recommender) -> float:
    """The median time of a request: the best ten items for one known user, in this process.

    Requests come one after another, each by another user, on the device and with the cores that
    this process has; nothing is sent over a network, and nothing is loaded. It is a time of this
    machine at this moment: what else it does is in it.
    """
    users = _some_users(recommender)
    for user in users[:WARM_UP]:
        recommender.recommend(user, LIST)
    return median(_seconds(recommender, user) for user in users) * 1000


def index_costs(recommender: Recommender) -> dict[str, float]:
    """What the index of a recommender loses and saves, where it has one.

    Returns:
        ``index_recall_at_10``: of the ten best items of known users, the share that the index
        finds, in 0..1; ``index_milliseconds`` and ``exact_milliseconds``: what
        :func:`milliseconds` says with the index and without.
    """
    if recommender.index is None:
        return {}
    exact = replace(recommender, index=None)
    users = _some_users(exact)
    best, found = ([_items(each, user) for user in users] for each in (exact, recommender))
    hits = sum(len(own & other) for own, other in zip(best, found, strict=True))
    return {
        "index_recall_at_10": hits / max(sum(map(len, best)), 1),
        "index_milliseconds": milliseconds(recommender),
        "exact_milliseconds": milliseconds(exact),
    }


def without_poor_index(recommender: Recommender) -> tuple[Recommender, dict[str, float]]:
    """The recommender without an index that finds too little, and what :func:`index_costs` says."""
    costs = index_costs(recommender)
    if costs and costs["index_recall_at_10"] < LEAST_RECALL:
        return replace(recommender, index=None), costs
    return recommender, costs


def _items(recommender: Recommender, user: int | str) -> set[int | str]:
    return {movie.movie_id for movie in recommender.recommend(user, LIST)}


def _some_users(recommender: Recommender) -> list[int | str]:
    known = recommender.audience.ids[recommender.audience.reserved :]
    return [shown_id(known[row]) for row in np.linspace(0, len(known) - 1, TIMED).astype(int)]


def _seconds(recommender: Recommender, user: int | str) -> float:
    before = time.perf_counter()
    recommender.recommend(user, LIST)
    return time.perf_counter() - before
