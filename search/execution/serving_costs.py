"""What a model costs in use: its size as it is saved, and the time that a request takes."""

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from deeprec.data.audience import shown_id
from deeprec.recommender import Recommender

LIST = 10  # how many items a request asks for
WARM_UP = 20  # requests that are not timed: the first one compiles
TIMED = 200  # requests, by so many different known users where there are as many


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
    known = recommender.audience.ids[recommender.audience.reserved :]
    users = [shown_id(known[row]) for row in np.linspace(0, len(known) - 1, TIMED).astype(int)]
    for user in users[:WARM_UP]:
        recommender.recommend(user, LIST)
    return median(_seconds(recommender, user) for user in users) * 1000


def _seconds(recommender: Recommender, user: int | str) -> float:
    before = time.perf_counter()
    recommender.recommend(user, LIST)
    return time.perf_counter() - before
