"""The supervisor: how many workers may die before the search gives up."""

from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest

from search.config.study import StudySpec
from search.execution.supervisor import MOST_DEATHS, Supervisor
from search.execution.workers import Assignment, Event, Handle, Pool
from search.records.events import Hooks, Outcome
from search.storage.database import Database
from tests.unit.search.claims import undisputed
from tests.unit.search.execution.test_loop import Bench


class MortalWorker(Handle):
    """A worker that dies without having said anything."""

    def __init__(self, number: int, *, is_lost: bool) -> None:
        self.name = f"worker {number}"
        self.is_lost = is_lost

    def stop(self, reason: str) -> None:
        pass

    def kill(self) -> None:
        pass

    def join(self) -> str:
        return "signal SIGKILL"


class MortalPool(Pool[MortalWorker]):
    """Workers that die one after another, each after it has ``done`` something."""

    def __init__(self, done: Callable[[], None], *, are_lost: bool = False) -> None:
        super().__init__()
        self.started = 0
        self._done = done
        self._are_lost = are_lost

    def start(self, assignment: Assignment) -> None:
        self.workers.append(MortalWorker(self.started, is_lost=self._are_lost))
        self.started += 1

    def events(self, patience_seconds: float) -> Iterator[tuple[MortalWorker, Event | None]]:
        self._done()
        yield self.workers[0], None


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def supervised(bench: Bench, pool: MortalPool, folder: Path) -> Outcome:
    supervisor = Supervisor(
        bench.study, assignment(bench.spec, folder), pool, undisputed(), Hooks()
    )
    return supervisor.run(1)


def assignment(spec: StudySpec, folder: Path) -> Assignment:
    return Assignment(
        spec=spec,
        database=Database.in_folder(folder, spec.name),
        towers_folder=folder,
        data_dir=None,
        data_fingerprint="",
        grace_seconds=60,
        first_number=0,
        deadline=None,
    )


def nothing() -> None:
    pass


def test_workers_that_die_and_finish_nothing_end_the_search(bench: Bench, tmp_path: Path) -> None:
    pool = MortalPool(nothing)
    outcome = supervised(bench, pool, tmp_path)
    assert outcome.state == "failing"
    assert outcome.reason.startswith(f"{MOST_DEATHS} workers died and no trial finished between")
    assert pool.started == MOST_DEATHS


def test_what_finished_counts_although_its_worker_could_not_tell(
    bench: Bench, tmp_path: Path
) -> None:
    pool = MortalPool(lambda: bench.study.add_trial(optuna.create_trial(value=0.3)))
    assert supervised(bench, pool, tmp_path) == Outcome(state="complete")
    assert pool.started == bench.spec.study.trials > MOST_DEATHS


def test_workers_lost_with_their_machines_do_not_end_the_search(
    bench: Bench, tmp_path: Path
) -> None:
    deaths = 0

    def die_often() -> None:
        nonlocal deaths
        deaths += 1
        if deaths > 2 * MOST_DEATHS:
            bench.run()

    pool = MortalPool(die_often, are_lost=True)
    assert supervised(bench, pool, tmp_path) == Outcome(state="complete")
