"""Worker processes, seen from the process that starts them: started, heard, stopped.

They are fresh processes, never forked (JAX has threads), each with its share of the cores.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Self

from search.execution.messages import Assignment, Event, Stop
from search.execution.signals import SIGNALS
from search.scheduling.claim import worker_name

PATIENCE_SECONDS = 20.0
"""How long a worker that has nothing more to say may take to end."""


class Worker:
    """One worker process, at work on an assignment.

    Args:
        assignment: what it is to do.
        environment: its environment variables.

    Attributes:
        name: that no other worker has.
        signs: how often it was heard.
    """

    def __init__(self, assignment: Assignment, environment: Mapping[str, str]) -> None:
        self.signs = 0
        self.connection: Connection[Any, Any]
        self.connection, theirs = Pipe()
        with theirs:
            self._process = _start(theirs.fileno(), environment)
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
    """All workers that are alive, entered for as long as they may be.

    Args:
        environment: of every worker.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.workers: list[Worker] = []
        self._environment = environment

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Leaves no worker behind: normally none is left."""
        self.kill()
        for worker in self.workers:
            worker.join()

    def start(self, assignment: Assignment) -> None:
        """Starts one more worker."""
        self.workers.append(Worker(assignment, self._environment))

    def events(self, patience_seconds: float) -> Iterator[tuple[Worker, Event | None]]:
        """One event of each worker that has any, after waiting for the first for a while.

        A worker whose event is None is gone; whoever receives that calls :meth:`remove`.
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


def _start(descriptor: int, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """A worker that is told and tells over a socket.

    Signals wait until it listens to them: a Ctrl-C in a terminal reaches every process.
    """
    command = [sys.executable, "-m", "search.execution.worker_process", str(descriptor)]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        return subprocess.Popen(  # noqa: S603  (the command is ours, and no shell reads it)
            command, stdin=subprocess.DEVNULL, pass_fds=[descriptor], env=dict(environment)
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
