"""Where commands print."""

import errno
import fcntl
import io
import os
import selectors
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Self, TextIO

from rich.console import Console, ConsoleDimensions

_READER_GONE = (errno.EPIPE, errno.EIO)
"""What a closed pipe says, and a closed terminal."""


class Output(io.FileIO):
    """A descriptor that is written to while that works; from then on it leads nowhere, silently.

    The descriptor itself is led elsewhere, so that whoever else writes to it goes on, too.

    Args:
        descriptor: stays open when this is closed.

    Attributes:
        lost: why it could not be written; None while it can.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.lost: OSError | None = None

    def write(self, data: Any) -> int:
        """Writes, or does as if."""
        try:
            return super().write(data)
        except OSError as error:
            self.lost = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno(), os.get_inheritable(self.fileno()))
            os.close(nowhere)
            return super().write(data)

    @property
    def is_incomplete(self) -> bool:
        """Whether a reader that is still there has not got all of it."""
        return self.lost is not None and self.lost.errno not in _READER_GONE


def text_to(output: Output, like: TextIO | None) -> TextIO:
    """A stream of text to an output; characters that its encoding lacks become question marks.

    Args:
        output: where it leads.
        like: whose encoding and buffering it has; those of Python where None.
    """
    unbuffered = getattr(like, "write_through", False)
    return io.TextIOWrapper(
        output if unbuffered else io.BufferedWriter(output),
        encoding=getattr(like, "encoding", None) or "utf-8",
        errors="replace",
        line_buffering=getattr(like, "line_buffering", False),
        write_through=unbuffered,
    )


def keep_writable() -> Output | None:
    """Makes standard output and error ones that nothing ends by, and opens those that are closed.

    Returns:
        Standard output; None where a program that called this one has put its own in the place.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # or the next file that is opened, such as a database, would get its number
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is sys.__stderr__:
        sys.stderr = text_to(Output(2), sys.stderr)
    if sys.stdout is not sys.__stdout__:
        return None
    output = Output(1)
    sys.stdout = text_to(output, sys.stdout)
    return output


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


PIPE_COLUMNS = 120


def make_console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for a table in a log file."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_COLUMNS)


class TerminalConsole(Console):
    """A terminal behind a descriptor of its own, when 1 and 2 lead elsewhere.

    Rich asks the standard descriptors for the size; this one asks the terminal itself, whenever it
    is asked, so that the size is known after the window was resized.

    Args:
        descriptor: leads to the terminal; stays open, whoever made it closes it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        super().__init__(file=text_to(Output(descriptor), sys.stdout))

    @property
    def size(self) -> ConsoleDimensions:
        """Columns and rows; the variables COLUMNS and LINES go before, as everywhere in Rich."""
        if self.is_dumb_terminal:
            return super().size
        try:
            columns, lines = os.get_terminal_size(self._descriptor)
        except OSError:
            return super().size
        return ConsoleDimensions(self._width or columns or 80, self._height or lines or 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size
