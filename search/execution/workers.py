"""Worker processes, seen from the process that starts them: the messages, the pool.

They are fresh processes, never forked (JAX has threads), each with its share of the cores. The
messages travel pickled over a socket that only the two processes have. Passwords in the storage's
URL are so never seen in a list of processes.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, Self

from search.config.study import StudySpec
from search.execution.signals import SIGNALS
from search.records.events import Outcome, TrialEvent
from search.scheduling.locks import worker_name
from search.storage.database import Database

PATIENCE_SECONDS = 20.0  # how long a worker that has nothing more to say may take to end


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


class Worker:
    """One worker process, at work on an assignment."""

    def __init__(self, assignment: Assignment, module: str, environment: Mapping[str, str]) -> None:
        self.signs = 0  # how often it was heard
        self.connection: Connection[Any, Any]
        self.connection, theirs = Pipe()
        with theirs:
            self._process = _start(module, theirs.fileno(), environment)
        self.name = worker_name(self._process.pid)  # that no other worker has
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
        self.connection.close()
        try:
            code = self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _send(self, message: Assignment | Stop) -> None:
        with suppress(OSError):  # one that is gone is noticed when its events end
            self.connection.send(message)


class Pool:
    """All workers that are alive; when it is left, none is."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        module: str = "search.execution.worker_process",
    ) -> None:
        self.workers: list[Worker] = []
        self._environment = environment
        self._module = module

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Leaves no worker behind: normally none is left."""
        self.kill()
        for worker in self.workers:
            worker.join()

    def start(self, assignment: Assignment) -> None:
        """Starts one more worker."""
        self.workers.append(Worker(assignment, self._module, self._environment))

    def events(self, patience_seconds: float) -> Iterator[tuple[Worker, Event | None]]:
        """One event of each worker that has any, after waiting for the first for a while.

        A worker whose event is None is gone; the receiver calls :meth:`remove`.
        """
        by_connection = {worker.connection: worker for worker in self.workers}
        for connection in wait(list(by_connection), patience_seconds):
            worker = by_connection[connection]  # type: ignore[index]
            yield worker, worker.receive()

    def remove(self, worker: Worker) -> str:
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


def _start(
    module: str, descriptor: int, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """A worker that sends and receives over a socket.

    Signals wait until it listens to them: a Ctrl-C in a terminal reaches every process.
    """
    command = [sys.executable, "-m", module, str(descriptor)]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        return subprocess.Popen(  # noqa: S603  (the command is ours, and no shell reads it)
            command, stdin=subprocess.DEVNULL, pass_fds=[descriptor], env=dict(environment)
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
