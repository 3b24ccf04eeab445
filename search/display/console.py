"""Where commands print: output that may fail, and what others print to it, caught line by line."""

import errno
import fcntl
import io
import os
import secrets
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Self, TextIO

_NO_READER = (errno.EPIPE, errno.EIO)  # what a closed pipe says, and a closed terminal

PIPE_BYTES = 1 << 20
"""Room in the pipe: a library may write while it keeps Python, and so the reader, waiting."""

PIECE_BYTES = 1 << 16


class Output(io.FileIO):
    """A descriptor that is written to while that works; from then on it leads nowhere, silently.

    The descriptor itself is led elsewhere, so that others who write to it go on, too.

    It stays open when this is closed.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.lost: OSError | None = None  # why it could not be written; None while it can

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
        """Whether a reader that is still there has not received all of it."""
        return self.lost is not None and self.lost.errno not in _NO_READER


def text_to(output: Output, like: TextIO | None) -> TextIO:
    """A stream of text to an output; characters that its encoding lacks become question marks.

    It is encoded and buffered like another stream, or as Python does.
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
    """Makes standard output and error fail without an error, and opens those that are closed.

    Returns:
        Standard output; None where the calling program has replaced it.
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


class Capture:
    """Catches what is written to file descriptors, entered for as long as they are caught.

    However it is left, they lead again where they led, and every line written has been passed on.

    ``pass_on`` is called from a thread with every line that is not empty, without its end. A
    progress bar draws over itself with carriage returns; what it showed last is the line.
    """

    def __init__(self, pass_on: Callable[[str], None], descriptors: Sequence[int] = (1, 2)) -> None:
        self._pass_on = pass_on
        self._descriptors = descriptors
        self._kept: dict[int, int] = {}
        self._end = f"{secrets.token_hex()}\n".encode()

    def __enter__(self) -> Self:
        _flush()
        reading, self._writing = os.pipe()
        with suppress(OSError, AttributeError):  # a wish: not every system has it
            fcntl.fcntl(self._writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        for descriptor in self._descriptors:
            self._kept[descriptor] = os.dup(descriptor)
            os.dup2(self._writing, descriptor)
        self._thread = threading.Thread(
            target=self._read, args=(reading,), name="capture", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Gives the descriptors back, and waits until what was written is passed on."""
        _flush()
        for descriptor, kept in self._kept.items():
            os.dup2(kept, descriptor)
            os.close(kept)
        os.write(self._writing, b"\n" + self._end)  # other processes may hold the pipe open
        self._thread.join()
        os.close(self._writing)

    def _read(self, reading: int) -> None:
        line = b""
        with open(reading, "rb") as pipe:
            while (piece := pipe.readline(PIECE_BYTES)) != self._end:
                states = (line + piece).split(b"\r")
                if piece.endswith(b"\n"):
                    line = b""
                    shown = [state for state in states if state.strip()]
                    if shown:
                        self._pass_on(shown[-1].decode(errors="replace").rstrip())
                else:  # what was drawn over is dropped: a bar of hours takes no memory
                    line = b"\r".join(states[-2:])


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or there is none
            stream.flush()
