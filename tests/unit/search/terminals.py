"""A clock that stands still, and terminals whose text can be read: for tests of views."""

import io

from rich.console import Console, RenderableType

from search.display.terminal import Screen


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def drawn(
    view: RenderableType, width: int = 80, height: int = 24, *, utf8: bool = True
) -> list[str]:
    """The lines of a view in a terminal of that size, spaces at their ends removed."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="utf-8" if utf8 else "ascii")
    console = Console(file=file, force_terminal=True, color_system=None, width=width, height=height)
    console.print(view)
    file.flush()
    return [line.rstrip() for line in raw.getvalue().decode().splitlines()]


class Pipe:
    """A screen in a pipe whose lines can be read."""

    def __init__(self, width: int = 120, *, quiet: bool = False) -> None:
        self._file = io.StringIO()
        self.screen = Screen(quiet=quiet)
        self.screen.console = Console(file=self._file, width=width)

    @property
    def text(self) -> str:
        return self._file.getvalue()

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.text.splitlines()]
