"""The claim with many workers: how long one decides what runs next, on PostgreSQL.

Nothing trains. So many trials run as there are workers, and a worker that comes back reads what the
others have finished meanwhile: one trial each. What it does while it holds the claim bounds how
many workers a study keeps busy: those whose trials take ``workers x seconds`` and longer.
"""

import time
from collections import deque

import optuna

from search.config.addresses import PROJECT
from search.config.reading import load_spec
from search.config.space import suggest
from search.config.study import StudySpec
from search.scheduling.locks import Claim, lock_of
from search.scheduling.next_trial import ask_next
from search.storage.database import Database
from search.storage.retry import Patience
from search.storage.study import join_study, open_study
from tests.benchmarks.harness import MeasurementError, Result
from tests.faults.postgres import NotInstalledError, PostgresServer

WORKERS = (1, 10, 100, 1000)
LOOKS = 3


def measure(*, quick: bool) -> list[Result]:
    """A line a number of workers, each in a study of its own."""
    try:
        server = PostgresServer()
    except NotInstalledError as error:
        raise MeasurementError(str(error)) from error
    try:
        server.start()
        return [
            _result(Database.at(server.create_database(f"claims_{workers}")), workers)
            for workers in (WORKERS[:1] if quick else WORKERS)
        ]
    finally:
        server.close()


def _result(database: Database, workers: int) -> Result:
    spec = load_spec("tutorial", folders=[PROJECT / "studies"])
    study = open_study(database, spec, "", "benchmark")
    others = _Worker(study, database, spec)
    running = deque(others.decide() for _ in range(workers))
    mine = _Worker(join_study(database, spec, "", patience=Patience()), database, spec)
    times = []
    for _ in range(LOOKS):
        for _ in range(workers):
            running.append(others.decide())
            _finish(study, running.popleft())
        started = time.perf_counter()
        trial = mine.decide()
        times.append(time.perf_counter() - started)
        _finish(mine.study, trial)
    seconds = sorted(times)[LOOKS // 2]
    return Result(
        what=f"claim, {workers:,} workers",
        ours=1000 * seconds,
        unit="ms",
        note=f"{len(study.get_trials(deepcopy=False)):,} trials; {workers:,} workers are kept busy "
        f"by trials of {workers * seconds:.1f} s",
    )


def _finish(study: optuna.Study, trial: optuna.Trial) -> None:
    for epoch in range(1, 7):
        trial.report(0.1, epoch)
    study.tell(trial, 0.1 + trial.number % 97 / 1000)


class _Worker:
    """What a worker does between two trials, and nothing else."""

    def __init__(self, study: optuna.Study, database: Database, spec: StudySpec) -> None:
        self.study = study
        self._spec = spec
        lock = lock_of(database, spec.name, "claim", patience=Patience())
        self._claim = Claim(lock, "benchmark/0/0")

    def decide(self) -> optuna.Trial:
        """The trial that runs next; the claim is taken, and given back."""
        self._claim.take(lambda: None)
        trials = self.study.get_trials(deepcopy=False)
        trial = ask_next(self.study, trials, self._spec, others_run=True)
        assert trial is not None
        suggest(trial, self._spec.space)
        self._claim.settle(trial)
        return trial
