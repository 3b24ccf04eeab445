"""What a command shows from its first moment to its last.

In a terminal there is always something that moves: a line that says what is done now, or a view put
in its place. Lines for the user appear above it, and so does whatever a library or a worker writes.
In a pipe there are plain lines, and nothing is caught.
"""

import faulthandler
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Self

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from search.display.console import Capture, TerminalConsole, make_console
from search.display.status import Status

REFRESHES_PER_SECOND = 8


class LiveArea(Live):
    """Rich's live display, for terminals whose window is resized while it runs.

    A terminal that becomes narrower breaks the lines that are on it, and Rich, which counts the
    lines that it drew, would leave the first of them standing. This one knows how long they are.

    Args:
        console: a terminal.
        content: asked for what to draw, each time.
    """

    def __init__(self, console: Console, content: "Content") -> None:
        self._content = content
        self._drawn_width = console.width
        super().__init__(
            get_renderable=lambda: content,
            console=console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Takes the lines for as many as they have become, before they are drawn over."""
        with self._lock:
            width = self.console.width
            if width < self._drawn_width and self._live_render._shape is not None:
                rows = rows_of(self._content.lengths, width)
                self._live_render._shape = (width, rows)
            self._drawn_width = width
            return super().process_renderables(renderables)


class Content:
    """Something that can be drawn, and remembers how long its lines were.

    Spaces at their ends are not drawn, since a terminal may count them or not when it breaks lines.
    """

    def __init__(self) -> None:
        self.shown: RenderableType = ""
        self.lengths: Sequence[int] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [_stripped(line) for line in console.render_lines(self.shown, options, pad=False)]
        lines = lines[: max(options.size.height - 1, 1)]
        self.lengths = [Segment.get_line_length(line) for line in lines]
        for number, line in enumerate(lines):
            if number:
                yield Segment.line()
            yield from line


def rows_of(lengths: Sequence[int], width: int) -> int:
    """How many rows lines take in a terminal that is so many columns wide."""
    return sum(max(-(-length // width), 1) for length in lengths)


def _stripped(line: list[Segment]) -> list[Segment]:
    """The line without spaces at its end."""
    kept = list(line)
    while kept and not kept[-1].text.strip() and not kept[-1].control:
        kept.pop()
    if kept:
        kept[-1] = Segment(kept[-1].text.rstrip(" "), kept[-1].style, kept[-1].control)
    return kept


_SHOW_CURSOR = "\x1b[?25h\r\n"


class Screen:
    """Owns the console of a command; entered once, by the command.

    One that was not entered prints plain lines, like one in a pipe.

    Args:
        quiet: show warnings, on standard error, and results alone.

    Attributes:
        console: where results are printed.
        is_live: whether there is a terminal that something is drawn on.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.console = make_console()
        self.is_live = False
        self._status = Status()
        self._content = Content()
        self._pending: str | None = None
        self._views = 0
        self._lock = threading.RLock()
        self._exit = ExitStack()
        self._terminal = -1

    def __enter__(self) -> Self:
        if not self.quiet and os.isatty(1) and not self.console.is_dumb_terminal:
            with ExitStack() as stack:
                self._open(stack)
                self._exit = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        """Leaves the terminal as it was, with all lines on it."""
        self._settle()
        self._exit.close()

    def _open(self, stack: ExitStack) -> None:
        self._terminal = os.dup(1)
        stack.callback(self._close)
        self.console = TerminalConsole(self._terminal)
        caught = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]
        stack.enter_context(Capture(self._print_caught, caught))
        stack.enter_context(_last_words(self._terminal))
        stack.enter_context(_tidy_when_terminated(self.abandon))
        self._content.shown = self._status
        live = LiveArea(self.console, self._content)
        live.start(refresh=True)
        stack.callback(self._stop_drawing, live)
        self.is_live = True

    def _stop_drawing(self, live: LiveArea) -> None:
        """Between two lines: one printed meanwhile would draw the area again, and leave it."""
        with self._lock:
            live.stop()

    def _close(self) -> None:
        self.is_live = False
        self.console.file.flush()
        self.console = make_console()
        os.close(self._terminal)

    def doing(self, text: str) -> None:
        """Says what is done from now on; in a terminal alone, and only until the next thing is."""
        with self._lock:
            self._settle()
            self._status.say(text)

    def announce(self, line: str) -> None:
        """Shows a line that stays, unless the command is quiet; it says what is done, too."""
        if self.quiet:
            return
        with self._lock:
            self._settle()
            if not self.is_live or self._views:
                self._print(line)
            else:  # once, as what is done now; it is printed when it is not any more
                self._status.say(line)
                self._pending = line

    def show(self, line: str) -> None:
        """Shows a line of the result, quiet or not."""
        with self._lock:
            self._settle()
            self._print(line)

    def warn(self, line: str) -> None:
        """Shows a warning, quiet or not."""
        self.notice(f"warning: {line}")

    def notice(self, line: str) -> None:
        """Shows a line that matters at once; when quiet, on standard error."""
        with self._lock:
            self._settle()
            if self.quiet:
                _print(Console(stderr=True), line)
            else:
                self._print(line)

    def print(self, renderable: RenderableType) -> None:
        """Prints a part of the result."""
        with self._lock:
            self._settle()
            self.console.print(renderable)

    @contextmanager
    def showing(self, view: RenderableType) -> Iterator[None]:
        """Shows a view in the place of the status line."""
        with self._lock:
            self._settle()
            before, self._content.shown = self._content.shown, view
            self._views += 1
        try:
            yield
        finally:
            with self._lock:
                self._content.shown = before
                self._views -= 1

    def abandon(self) -> None:
        """Leaves the terminal usable for whoever comes next, when there is time for no more."""
        if self.is_live:
            with suppress(OSError):  # it may be closed
                os.write(self._terminal, _SHOW_CURSOR.encode())

    def _settle(self) -> None:
        """Prints the line that was what is done now, if it has not been printed yet."""
        with self._lock:
            if self._pending is not None:
                line, self._pending = self._pending, None
                self._print(line)

    def _print(self, line: str) -> None:
        _print(self.console, line)

    def _print_caught(self, line: str) -> None:
        """Prints what somebody else wrote: with its colors, without what moves the cursor."""
        with self._lock:
            self.console.print(Text.from_ansi(line), highlight=False, soft_wrap=True)


def _print(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _last_words(descriptor: int) -> Iterator[None]:
    """A crash of native code shows its stack on the terminal: no thread is left to pass it on."""
    if faulthandler.is_enabled():
        yield
        return
    faulthandler.enable(descriptor)
    try:
        yield
    finally:
        faulthandler.disable()


@contextmanager
def _tidy_when_terminated(tidy: Callable[[], None]) -> Iterator[None]:
    """A process that SIGTERM ends, where nobody else listens to it, shows the cursor again."""
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not is_ours:
        yield
        return

    def end(number: int, _frame: FrameType | None) -> None:
        tidy()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
