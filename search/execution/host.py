"""A worker's process on the machine that it runs on: started, spoken to, ended.

The search starts it itself, or has Ray place a :class:`Host` on a node of a cluster, which starts
the very same process there. Nothing slow is imported here: on a node a host is all that runs
beside the worker.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any, NamedTuple

from search.execution.signals import SIGNALS

PATIENCE_SECONDS = 20.0  # how long a worker that has nothing more to say may take to end


class WorkerProcess:
    """A fresh process, never forked (JAX has threads), which only its starter can speak to.

    The messages travel pickled over a socket that only the two processes have. Passwords in the
    storage's URL are so never seen in a list of processes.
    """

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        self.connection: Connection[Any, Any]
        self.connection, theirs = Pipe()
        with theirs:
            self._process = _start(module, theirs.fileno(), environment)
        self.pid = self._process.pid

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


class Place(NamedTuple):
    """Where a host was placed."""

    machine: str
    pid: int  # of the worker's process
    clock: float  # what the machine's monotonic clock says
    folder: str  # of the host alone, for files of its worker


class Host:
    """A worker's process on a node, as an actor of Ray whose methods run in threads.

    Messages are passed on as they are, pickled: a host does not know what they say.

    Args:
        module: what the process runs.
        variables: of its environment, beside those of the node.
    """

    def __init__(self, module: str, variables: Mapping[str, str]) -> None:
        self._folder = tempfile.mkdtemp(prefix="deeprec-")
        self._process = WorkerProcess(module, {**os.environ, **variables})

    def place(self) -> Place:
        """Where it is."""
        return Place(socket.gethostname(), self._process.pid, time.monotonic(), self._folder)

    def tell(self, message: bytes) -> None:
        """Sends the worker a message; one that is gone is noticed when its own end."""
        with suppress(OSError):
            self._process.connection.send_bytes(message)

    def hear(self, seconds: float) -> list[bytes | None]:
        """What the worker has said, after waiting a while for the first; None: it is gone."""
        heard: list[bytes | None] = []
        connection = self._process.connection
        try:
            while connection.poll(0 if heard else seconds):
                heard.append(connection.recv_bytes())
        except (EOFError, OSError):
            heard.append(None)
        return heard

    def end(self) -> str:
        """Waits for the end of the process; returns how it ended, in words."""
        how = self._process.join()
        shutil.rmtree(self._folder, ignore_errors=True)
        return how


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
