"""From the command to the end of the first epoch, with warm caches.

The moment is read from outside: when the study's database says that epoch 1 ended, minus when the
process was started. Python itself lists the modules that are loaded when the process exits.
"""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.folders import Folder, finish, fresh_folder
from tests.benchmarks.harness import MeasurementError, Result

AT_MOST = 6.0
STUDY = "tutorial"

# Python imports sitecustomize at its start; so do the processes that a search starts.
LISTER = """
import atexit, os, sys

def write():
    path = os.path.join(os.environ["BENCHMARK_MODULES"], str(os.getpid()))
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("\\n".join(sys.modules))

atexit.register(write)
"""


def measure(*, quick: bool) -> list[Result]:
    """The first trial of the tutorial's study, with a new MLflow database and with an old one."""
    new, old = [], []
    with fresh_folder() as folder:
        _seconds_to_first_epoch(folder.beside())  # compiles
        for _ in range(1 if quick else 5):
            place = folder.beside()
            new.append(_seconds_to_first_epoch(place))
            shutil.rmtree(place.path / "studies")  # a new study, and MLflow's database stays
            old.append(_seconds_to_first_epoch(place))
    what = "command to first finished epoch, warm caches"
    return [timed(f"{what}, new MLflow database", new, AT_MOST), timed(what, old, AT_MOST)]


def timed(what: str, seconds: Sequence[float], at_most: float | None) -> Result:
    """The median of single runs, which are noted."""
    note = f"single runs: {', '.join(f'{value:.2f}' for value in sorted(seconds))} s"
    return Result(what=what, ours=statistics.median(seconds), at_most=at_most, note=note)


def _seconds_to_first_epoch(folder: Folder) -> float:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "sitecustomize.py").write_text(LISTER, encoding="utf-8")
        lists = Path(name) / "modules"
        lists.mkdir()
        variables = {
            "PYTHONPATH": os.pathsep.join([name, folder.environment["PYTHONPATH"]]),
            "BENCHMARK_MODULES": str(lists),
        }
        started = time.time()
        arguments = ("--study", STUDY, "--trials", "1", "--quiet")
        finish(folder.start("search.run", *arguments, **variables))
        loaded = {module for path in lists.iterdir() for module in path.read_text().split()}
    if "search.commands.search" not in loaded:
        raise MeasurementError("search.run left no list of the modules that it loaded")
    if "tensorflow" in loaded:
        raise MeasurementError("search.run imported TensorFlow although the data was prepared")
    epoch, timestamp_ms, _metrics = folder.study(STUDY).trials[0].user_attrs["curve"][0]
    assert epoch == 1
    return float(timestamp_ms) / 1000 - started
