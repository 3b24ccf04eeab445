"""Stopping a search: the first signal stops it tidily, the second at once."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = {signal.SIGINT: "interrupted from the keyboard", signal.SIGTERM: "terminated"}
_SHOW_CURSOR = "\x1b[?25h"


class StopRequest:
    """Listens to Ctrl-C and SIGTERM while it is entered.

    The first signal only leaves a reason, which the search finds after the epoch at hand; the
    trial is then recorded as interrupted. The second ends the process at once. Nothing is lost by
    that either: what has finished is stored, and the next start closes what was left open.

    Args:
        announce: told in words what the first signal did.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self.reason: str | None = None
        self.exit_code = 0
        self._announce = announce
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.reason is not None:
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), _SHOW_CURSOR.encode())
            os._exit(128 + number)
        self.reason = _SIGNALS[signal.Signals(number)]
        self.exit_code = 128 + number
        # The signal may have come in the middle of a write, which Python refuses to re-enter.
        with suppress(RuntimeError):
            self._announce("stopping after this epoch; press Ctrl-C again to stop at once")
