"""Memory over many trials in one process: nothing of a finished trial may stay.

The resident memory of a real ``search.run`` is read from outside, each time its study's
database has one more finished trial.
"""

import sqlite3
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.data import study_file, write_study
from tests.benchmarks.folders import finish, fresh_folder
from tests.benchmarks.plot import ascii_curve
from tests.benchmarks.processes import resident_bytes
from tests.benchmarks.results import Quantity, Result

AT_MOST = 2.0
NAME = "many"
WARM_UP_SHARE = 0.25
POLL_SECONDS = 0.05
MIB = 2**20


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """200 trials of random architectures; the line is fitted to all but the first quarter."""
    trials = 8 if quick else 200
    with fresh_folder() as folder:
        write_study(folder.path, NAME, study_file([], epochs=1, trials=trials))
        process = folder.start("search.run", "--study", NAME, "--quiet")
        database = folder.path / "studies" / f"{NAME}.db"
        megabytes = [size / MIB for size in _sizes_after_each_trial(process, database)]
        finish(process)
    settled = megabytes[int(WARM_UP_SHARE * len(megabytes)) :]
    growth = float(np.polyfit(range(len(settled)), settled, 1)[0])
    return [
        Result.limited(
            f"memory growth a trial, {trials} trials in one process",
            Quantity(value=growth, unit="MB"),
            at_most=AT_MOST,
            note=(
                f"resident MB after each trial; the line of least squares through the last "
                f"{len(settled)}\n{ascii_curve(megabytes)}"
            ),
        ).to_json()
    ]


def _sizes_after_each_trial(process: "subprocess.Popen[str]", database: Path) -> Sequence[int]:
    """Bytes, read when the number of finished trials has gone up."""
    sizes: list[int] = []
    while process.poll() is None:
        size = resident_bytes(process.pid)
        finished = _finished_trials(database)
        if size is not None:
            sizes += [size] * (finished - len(sizes))
        time.sleep(POLL_SECONDS)
    return sizes


def _finished_trials(database: Path) -> int:
    """How many trials are complete; 0 while there is no table yet or it is being written."""
    if not database.exists():
        return 0
    try:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        try:
            query = "SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'"
            return int(connection.execute(query).fetchone()[0])
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return 0
