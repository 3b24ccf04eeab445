"""What anybody writes to the descriptors 1 and 2, caught while something is drawn on the terminal.

Python's own streams are one way to a terminal. Native libraries and worker processes have another,
the file descriptors themselves, so these are what is redirected.
"""

import fcntl
import os
import selectors
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

PIPE_BYTES = 1 << 20
"""Room in the pipe: a library may write while it keeps Python, and so the reader, waiting."""

LEAVING_SECONDS = 2.0
"""How long leaving waits for a process that goes on writing."""


class Lines:
    """Cuts a stream of bytes into lines of text, in whatever pieces it comes.

    A progress bar draws over itself with carriage returns; what it showed last is the line.

    Args:
        tell: called with every line that is not empty, without its end.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._unfinished = b""

    def feed(self, data: bytes) -> None:
        """Takes the next bytes."""
        *whole, rest = (self._unfinished + data).split(b"\n")
        for line in whole:
            self._emit(line)
        # What was drawn over is gone: a bar that runs for hours takes no memory.
        head, mark, tail = rest.rpartition(b"\r")
        shown = head.rpartition(b"\r")[2]
        self._unfinished = shown + mark + tail

    def end(self) -> None:
        """Tells a last line that has no end."""
        self._emit(self._unfinished)
        self._unfinished = b""

    def _emit(self, line: bytes) -> None:
        states = [state for state in line.split(b"\r") if state.strip()]
        if states:
            self._tell(states[-1].decode(errors="replace").rstrip())


class Capture:
    """Catches what is written to file descriptors, entered for as long as they are caught.

    However it is left, they lead again where they led, and everything written was told.

    Args:
        tell: called with every line, from a thread.
        descriptors: those to catch.
    """

    def __init__(self, tell: Callable[[str], None], descriptors: Sequence[int] = (1, 2)) -> None:
        self._lines = Lines(tell)
        self._descriptors = descriptors
        self._kept: dict[int, int] = {}

    def __enter__(self) -> Self:
        _flush()
        self._reading, writing = os.pipe()
        self._over_reading, self._over = os.pipe()
        with suppress(OSError, AttributeError):  # a wish: not every system has it
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        for descriptor in self._descriptors:
            self._kept[descriptor] = os.dup(descriptor)
            os.dup2(writing, descriptor)
        os.close(writing)
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Gives the descriptors back, and waits until what was written has been told."""
        _flush()
        for descriptor, kept in self._kept.items():
            os.dup2(kept, descriptor)
            os.close(kept)
        os.close(self._over)
        self._thread.join(LEAVING_SECONDS)

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._reading, selectors.EVENT_READ)
            selector.register(self._over_reading, selectors.EVENT_READ)
            while self._take({key.fd for key, _ in selector.select()}):
                pass
        self._lines.end()
        os.close(self._reading)
        os.close(self._over_reading)

    def _take(self, ready: set[int]) -> bool:
        """Reads what there is; False once nothing is left of a capture that is over."""
        if self._reading not in ready:
            return False
        data = os.read(self._reading, 1 << 16)
        self._lines.feed(data)
        return bool(data)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or there is none
            stream.flush()
