"""Trials that MLflow lacks, added to its database: how many a second, and what the end takes."""

import tempfile
import time
from pathlib import Path

from search.tracking.tracker import open_tracker
from search.tracking.writing import Reconciled
from tests.benchmarks.harness import Result
from tests.unit.search.sample_records import trial
from tests.unit.search.tracking.support import CONTEXT, no_towers

TRIALS = 5000
RUNS_A_SECOND = 30.0


def measure(*, quick: bool) -> list[Result]:
    """Finished trials of 30 epochs, in an experiment that has its parent run."""
    trials = [trial(number, epochs=30) for number in range(50 if quick else TRIALS)]
    with tempfile.TemporaryDirectory() as name:
        tracker = open_tracker(None, CONTEXT, folder=Path(name), warn=_refuse)
        assert tracker.parent_run_id
        begun = time.perf_counter()
        done = tracker.reconcile(trials, no_towers, within_s=None)
        added = time.perf_counter()
        tracker.study_finished(trials, "complete")
        ended = time.perf_counter()
    assert done == Reconciled(made=tuple(range(len(trials))))
    return [
        Result(
            what=f"{len(trials):,} trials that MLflow lacks, added",
            ours=len(trials) / (added - begun),
            unit="runs a second",
            at_least=RUNS_A_SECOND,
        ),
        Result(
            what="the study's run closed and its best trials ranked after that", ours=ended - added
        ),
    ]


def _refuse(warning: str) -> None:
    raise AssertionError(warning)
