"""The processes of a search: how a signal stops them, and how a worker's is started and ended.

The search starts a worker's process itself, or has Ray place a :class:`Host` on a node of a
cluster, which starts the very same process there. Nothing slow is imported here: on a node a host
is all that runs beside the worker.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Self

SIGNALS = {
    signal.SIGINT: "interrupted from the keyboard",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "the terminal was closed",
}
_SHOW_CURSOR = "\x1b[?25h"


class StopRequest:
    """Listens to Ctrl-C, SIGTERM and SIGHUP while it is entered, in the main thread.

    The first signal only leaves a reason, which the search finds after the epoch at hand; the
    trial is then recorded as interrupted. The second ends the process at once, or raises
    KeyboardInterrupt in one that is not ours to end. Nothing is lost by that either: what has
    finished is stored, and the next start closes what was left open.

    A SIGHUP is never the second, for a terminal that is closed sends several. Where it is ignored,
    as after ``nohup``, it stays so.

    Python runs a signal handler only between two of its own instructions, and an epoch is one
    compiled call that may take minutes. So the handlers do nothing, and a thread listens to the
    file descriptor to which Python writes the number of every signal the moment it arrives. In
    another thread than the main one, where Python takes no handlers, nothing is listened to.

    ``announce`` is told in words what the first signal did, from the listening thread; ``at_once``
    is called before the second ends the process, and takes others with it.
    """

    def __init__(
        self,
        announce: Callable[[str], None],
        *,
        at_once: Callable[[], None] = lambda: None,
        owns_process: bool = True,
    ) -> None:
        self.reason: str | None = None
        self.exit_code = 0
        self._announce = announce
        self._at_once = at_once
        self._owns_process = owns_process
        self._handled = 0
        self._is_listening = False
        self._previous: dict[signal.Signals, Any] = {}
        self._previous_descriptor = -1

    def __enter__(self) -> Self:
        self._is_listening = threading.current_thread() is threading.main_thread()
        if not self._is_listening:
            return self
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self._previous_descriptor = signal.set_wakeup_fd(self._sender.fileno())
        self._previous = {
            number: signal.signal(number, self._handle)
            for number in SIGNALS
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_listening:
            return
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_descriptor)
        self._sender.close()  # ends the thread, after it has read what was sent before
        self._thread.join()
        self._receiver.close()

    def _listen(self) -> None:
        while numbers := self._receiver.recv(1):
            if numbers[0] in SIGNALS:
                self._receive(signal.Signals(numbers[0]))

    def _receive(self, number: signal.Signals) -> None:
        if self.reason is not None:
            if number == signal.SIGHUP:
                return
            self._at_once()
            if not self._owns_process:
                return
            with suppress(OSError):
                if sys.stderr.isatty():
                    os.write(sys.stderr.fileno(), _SHOW_CURSOR.encode())
            os._exit(128 + number)
        self.exit_code = 128 + number
        self.reason = SIGNALS[number]
        self._announce("stopping after this epoch; press Ctrl-C again to stop at once")

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        """Handles a signal by doing nothing: without a handler it would end the process."""
        self._handled += number != signal.SIGHUP
        if self._handled > 1 and not self._owns_process:
            raise KeyboardInterrupt(SIGNALS[signal.Signals(number)])


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
