"""Stopping a search: the first signal stops it tidily, the second at once."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

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
