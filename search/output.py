"""Standard output and standard error that nothing can end a command by.

A terminal may be closed, the reader of a pipe may have seen enough, a disk may be full, and a title
may have letters that the encoding lacks. A search has better things to do than to end with that.
"""

import errno
import io
import os
import sys
from typing import Any, TextIO

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
