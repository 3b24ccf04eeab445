"""Where commands print."""

import os
import sys

from rich.console import Console, ConsoleDimensions

from search.output import Output, text_to

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
