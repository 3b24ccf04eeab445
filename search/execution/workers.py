"""Workers, seen from the process that starts them: the messages, the pools.

A pool of processes of this machine is here, one of workers on the nodes of a cluster in
:mod:`search.execution.cluster`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from search.config.study import StudySpec
from search.execution.processes import WorkerProcess
from search.records.events import Outcome, TrialEvent
from search.scheduling.locks import worker_name
from search.storage.database import Database
from search.storage.files import Shared


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The first message to a worker."""

    spec: StudySpec  # the study file, the command line's choices included
    database: Database
    towers_folder: Path
    data_dir: Path | None  # where the raw data is; looked for when None
    data_fingerprint: str  # of the data set that the study is searched on
    grace_seconds: float  # how long a worker may be silent
    first_number: int  # failures of trials before this number are not counted
    # of this machine's monotonic clock: no trial starts later; None without one
    deadline: float | None
    worker: str = ""  # the name that the worker has, as no other; filled in once it is started
    references: tuple[str, ...] = ()  # to measure, where no trials are run
    shared: Shared | None = None  # where checkpoints and towers are kept for all machines


@dataclass(frozen=True)
class Stop:
    """To a worker: end after this epoch; its trial is recorded as interrupted."""

    reason: str


@dataclass(frozen=True)
class Warned:
    """From a worker: a line for the user."""

    line: str


@dataclass(frozen=True)
class Alive:
    """From a worker, all the time: it lives, whatever it is doing."""


@dataclass(frozen=True)
class Ended:
    """The last message of a worker that has nothing more to do."""

    outcome: Outcome


@dataclass(frozen=True)
class Crashed:
    """The last message of a worker that cannot go on."""

    reason: str


@dataclass(frozen=True)
class Measured:
    """From a process that measures references: one, with its entries on the validation rows."""

    reference: str
    entries: Mapping[str, Any]


Event = TrialEvent | Warned | Alive | Measured | Ended | Crashed


class Handle(ABC):
    """A worker at work on an assignment, wherever it runs."""

    name: str  # that no other worker has
    signs = 0  # how often it was heard
    is_lost = False  # whether it died because its machine did

    @abstractmethod
    def stop(self, reason: str) -> None:
        """Has it end after its epoch."""

    @abstractmethod
    def kill(self) -> None:
        """Ends it at once."""

    @abstractmethod
    def join(self) -> str:
        """Waits for its end, with bounded patience; returns how it ended, in words."""


AnyHandle = TypeVar("AnyHandle", bound=Handle)


class Pool(ABC, Generic[AnyHandle]):
    """All workers that are alive; when it is left, none is."""

    def __init__(self) -> None:
        self.workers: list[AnyHandle] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Leaves no worker behind: normally none is left."""
        self.kill()
        for worker in self.workers:
            worker.join()

    @abstractmethod
    def start(self, assignment: Assignment) -> None:
        """Starts one more worker."""

    @abstractmethod
    def events(self, patience_seconds: float) -> Iterator[tuple[AnyHandle, Event | None]]:
        """Events of the workers that have any, after waiting for the first for a while.

        A worker whose event is None is gone; the receiver calls :meth:`remove`.
        """

    def remove(self, worker: AnyHandle) -> str:
        """Buries a worker that is gone; returns how it ended, in words."""
        self.workers.remove(worker)
        return worker.join()

    def stop(self, reason: str) -> None:
        """Has all workers end after their epochs."""
        for worker in self.workers:
            worker.stop(reason)

    def kill(self) -> None:
        """Ends all workers at once; may be called from any thread."""
        for worker in list(self.workers):
            worker.kill()


class Worker(Handle):
    """A worker process of this machine."""

    def __init__(self, assignment: Assignment, module: str, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self._process = WorkerProcess(module, environment)
        self.connection = self._process.connection
        self.name = worker_name(self._process.pid)
        self._send(replace(assignment, worker=self.name))

    def receive(self) -> Event | None:
        """Its next event; None once it is gone and all it said was heard."""
        try:
            event: Event = self.connection.recv()
        except (EOFError, OSError):
            return None
        self.signs += 1
        return event

    def stop(self, reason: str) -> None:
        """Has it end after its epoch."""
        self._send(Stop(reason))

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()

    def join(self) -> str:
        """Waits for its end, with bounded patience; returns how it ended, in words."""
        return self._process.join()

    def _send(self, message: Assignment | Stop) -> None:
        with suppress(OSError):  # one that is gone is noticed when its events end
            self.connection.send(message)


class LocalPool(Pool[Worker]):
    """Worker processes of this machine, each in the environment that the fewest others have."""

    def __init__(
        self,
        environments: Sequence[Mapping[str, str]],
        *,
        module: str = "search.execution.worker_process",
    ) -> None:
        super().__init__()
        self._environments = environments
        self._module = module

    def start(self, assignment: Assignment) -> None:
        """Starts one more worker."""
        used = [worker.environment for worker in self.workers]
        environment = min(self._environments, key=used.count)
        self.workers.append(Worker(assignment, self._module, environment))

    def events(self, patience_seconds: float) -> Iterator[tuple[Worker, Event | None]]:
        """One event of each worker that has any, after waiting for the first for a while."""
        by_connection: Mapping[Any, Worker] = {worker.connection: worker for worker in self.workers}
        for connection in wait(list(by_connection), patience_seconds):
            worker = by_connection[connection]
            yield worker, worker.receive()
