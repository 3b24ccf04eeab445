"""Memory over many trials in one process: nothing of a finished trial may stay.

The resident memory of a real ``search.run`` is read from outside, as Linux counts it, each time
its study's database has one more finished trial.
"""

import sqlite3
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from tests.benchmarks.data import study_file
from tests.benchmarks.folders import finish, fresh_folder
from tests.benchmarks.harness import Result

AT_MOST = 2.0
WARM_UP_SHARE = 0.25
MIB = 2**20


def measure(*, quick: bool) -> list[Result]:
    """200 trials of random architectures; the line is fitted to all but the first quarter."""
    trials = 8 if quick else 200
    with fresh_folder() as folder:
        folder.write_study("many", study_file([], epochs=1, trials=trials))
        process = folder.start("search.run", "--study", "many", "--quiet")
        database = folder.path / "studies" / "many.db"
        megabytes = [size / MIB for size in _sizes_after_each_trial(process, database)]
        finish(process)
    settled = megabytes[int(WARM_UP_SHARE * len(megabytes)) :]
    return [
        Result(
            what=f"memory growth a trial, {trials} trials in one process",
            ours=float(np.polyfit(range(len(settled)), settled, 1)[0]),
            unit="MB",
            at_most=AT_MOST,
            note=f"least squares through the last {len(settled)} of resident MB after each trial: "
            + ", ".join(f"{each:,.0f}" for each in megabytes),
        )
    ]


def _sizes_after_each_trial(process: "subprocess.Popen[str]", database: Path) -> Sequence[int]:
    """Bytes, read when the number of finished trials has gone up."""
    sizes: list[int] = []
    while process.poll() is None:
        size, finished = resident_bytes(process.pid), _finished_trials(database)
        if size is not None:
            sizes += [size] * (finished - len(sizes))
        time.sleep(0.05)
    return sizes


def _finished_trials(database: Path) -> int:
    """How many trials are complete; 0 while there is no table yet or it is being written."""
    query = "SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'"
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def resident_bytes(pid: int | str = "self") -> int | None:
    """Bytes in memory now; None where there is no such process."""
    return _status(pid, "VmRSS")


def peak_bytes() -> int | None:
    """The most bytes in memory since this process started, or since :func:`forget_peak`."""
    return _status("self", "VmHWM")


def forget_peak() -> None:
    """Starts the peak of this process anew from what it holds now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _status(pid: int | str, field: str) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = (line.split() for line in lines.splitlines() if line.startswith(f"{field}:"))
    return next((1024 * int(size) for _, size, *_ in found), None)
