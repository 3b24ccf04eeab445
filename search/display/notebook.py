"""What moves while a command runs, in a notebook: one output of the cell, replaced in place."""

import io
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType

COLUMNS, ROWS = 110, 24
SECONDS_BETWEEN = 0.5
"""A notebook stores what it is sent, and a person reads no faster."""


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return hasattr(_shell(), "kernel")


class NotebookArea:
    """Drawn again and again in an output of the cell; gone when it is closed."""

    def __init__(
        self, shown: RenderableType, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.shown = shown  # what is drawn
        self._clock = clock
        self._drawn_at = clock()
        self._output: Any = None  # made when there is something to show for long enough

    def erase(self, console: Console) -> None:
        """Does nothing: lines are printed to another output."""

    def draw(self, console: Console) -> None:
        """Draws it, unless that was done a moment ago."""
        if self._clock() - self._drawn_at < SECONDS_BETWEEN:
            return
        self._drawn_at = self._clock()
        text = io.StringIO()
        page = Console(file=text, width=COLUMNS, height=ROWS, force_jupyter=False)
        page.print(self.shown)
        self._show(text.getvalue())

    def close(self, console: Console) -> None:
        """Takes it away."""
        if self._output is not None:
            self._show("")

    def _show(self, text: str) -> None:
        from IPython.display import display

        content = {"text/plain": text}
        if self._output is None:
            self._output = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._output.update(content, raw=True)


def _shell() -> Any:
    """The interactive Python that this process is, if it is one."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()
