"""The claim with many workers: how long one decides what runs next, on PostgreSQL.

Nothing trains. So many trials run as there are workers, and a worker that comes back reads what the
others have finished meanwhile: one trial each. What it does while it holds the claim bounds how
many workers a study keeps busy: those whose trials take ``workers x seconds`` and longer.
"""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from search.config.addresses import PROJECT
from search.config.reading import load_spec
from search.config.space import suggest
from search.config.study import StudySpec
from search.scheduling.locks import Claim, lock_of
from search.scheduling.next_trial import ask_next
from search.storage.attributes import WORKER
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
    mine = _Worker(join_study(database, spec, "", patience=Patience()), database, spec)
    others = _Others(study, mine.decide().distributions)
    others.begin(workers)
    times = []
    for _ in range(LOOKS):
        others.finish(workers)
        others.begin(workers)
        started = time.perf_counter()
        trial = mine.decide()
        times.append(time.perf_counter() - started)
        mine.study.tell(trial, 0.1)
    seconds, trials = sorted(times)[LOOKS // 2], len(study.get_trials(deepcopy=False))
    busy = f"{workers:,} workers are kept busy by trials of {workers * seconds:.1f} s"
    return Result(
        what=f"claim, {workers:,} workers",
        ours=1000 * seconds,
        unit="ms",
        note=f"after {trials:,} trials; {busy}",
    )


class _Others:
    """The trials of all other workers, written as those would write them."""

    def __init__(self, study: optuna.Study, distributions: Mapping[str, BaseDistribution]) -> None:
        self._study, self._storage = study, study._storage
        self._distributions = dict(distributions)
        self._running: deque[int] = deque()
        self._random = np.random.default_rng(0)

    def begin(self, count: int) -> None:
        """So many trials begin."""
        for _ in range(count):
            params = {name: self._drawn(each) for name, each in self._distributions.items()}
            trial = create_trial(
                state=TrialState.RUNNING, params=params, distributions=self._distributions
            )
            trial.user_attrs[WORKER] = "benchmark/0/1"
            self._running.append(self._storage.create_new_trial(self._study._study_id, trial))

    def finish(self, count: int) -> None:
        """Those that have run longest end, with a curve of six validations."""
        for _ in range(count):
            trial = self._running.popleft()
            value = float(self._random.uniform(0.1, 0.35))
            for epoch in range(5, 35, 5):
                self._storage.set_trial_intermediate_value(trial, epoch, value)
            self._storage.set_trial_state_values(trial, TrialState.COMPLETE, [value])

    def _drawn(self, of: BaseDistribution) -> Any:
        if isinstance(of, CategoricalDistribution):
            return of.choices[self._random.integers(len(of.choices))]
        assert isinstance(of, FloatDistribution | IntDistribution)
        if isinstance(of, IntDistribution):
            return int(self._random.integers(of.low, of.high + 1))
        return float(self._random.uniform(of.low, of.high))


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
