"""The terminal, or the notebook, that a command shows itself in."""

import faulthandler
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Any, Self

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType, RenderResult
from rich.control import Control
from rich.segment import ControlType, Segment, SegmentLines
from rich.text import Text

from search.display.console import Capture, Output, text_to
from search.display.parts import one_line, short_clock

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


PIPE_COLUMNS = 120
DRAWN_PER_SECOND = 8
FRAMES, ASCII_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "-\\|/"
_SHOW_CURSOR = "\x1b[?25h\r\n"
_ERASE = (ControlType.ERASE_IN_LINE, 2)
_ERASE_ABOVE = ((ControlType.CURSOR_UP, 1), _ERASE)


class Status:
    """A spinner, words and the seconds since they were said."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.say("starting")

    def say(self, text: str) -> None:
        """From now on something else is done."""
        self._text = text
        self._since = self._clock()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        seconds = self._clock() - self._since
        frames = ASCII_FRAMES if options.ascii_only else FRAMES
        frame = frames[int(seconds * DRAWN_PER_SECOND) % len(frames)]
        elapsed = f"  {short_clock(int(seconds))}" if seconds >= 1 else ""
        words = one_line(self._text, options.max_width - len(frame) - 1 - len(elapsed))
        yield Text.assemble((frame, "cyan"), " ", words, (elapsed, "dim"))


class Area:
    """Drawn again and again in place, below what is printed.

    A terminal that becomes narrower breaks the lines that are on it; they are erased all the same,
    as their lengths are known. Spaces at their ends are not drawn, since a terminal may count them
    or not when it breaks lines.
    """

    def __init__(self, shown: RenderableType) -> None:
        self.shown = shown  # what is drawn
        self._lengths: list[int] = []

    def erase(self, console: Console) -> None:
        """Takes it away, so that the next line is printed where it began."""
        rows = sum(max(-(-length // console.width), 1) for length in self._lengths)
        if rows:
            above = _ERASE_ABOVE * (rows - 1)
            console.control(Control(ControlType.CARRIAGE_RETURN, _ERASE, *above))
        self._lengths = []

    close = erase

    def draw(self, console: Console) -> None:
        """Draws it, in fewer rows than the terminal has."""
        lines = [_stripped(line) for line in console.render_lines(self.shown, pad=False)]
        lines = lines[: max(console.height - 1, 1)]
        console.print(SegmentLines(lines[:-1], new_lines=True), SegmentLines(lines[-1:]), end="")
        self._lengths = [Segment.get_line_length(line) for line in lines]


def _stripped(line: list[Segment]) -> list[Segment]:
    """The line without spaces at its end."""
    kept = list(line)
    while kept and not kept[-1].text.strip() and not kept[-1].control:
        kept.pop()
    if kept:
        kept[-1] = Segment(kept[-1].text.rstrip(" "), kept[-1].style, kept[-1].control)
    return kept


class Screen:
    """Owns the console of a command; entered once, by the command.

    One that was not entered prints plain lines, like one in a pipe.

    A quiet one shows warnings, on standard error, and results alone.

    One that does not own its process belongs to a program, or to a notebook, that goes on after it.
    """

    def __init__(self, *, quiet: bool = False, owns_process: bool = True) -> None:
        self.quiet = quiet
        self.owns_process = owns_process
        self.console = _plain_console()  # where results are printed
        self.is_live = False  # whether there is a terminal that something is drawn on
        self._status = Status()
        self._area: Area | NotebookArea = Area(self._status)
        self._pending: str | None = None
        self._lock = threading.RLock()
        self._exit = ExitStack()
        self._terminal = -1

    def __enter__(self) -> Self:
        if not self.quiet and os.isatty(1) and not self.console.is_dumb_terminal:
            with ExitStack() as stack:
                self._open(stack)
                self._exit = stack.pop_all()
        elif not self.quiet and is_notebook():
            self._area = NotebookArea(self._status)
            self._exit.enter_context(self._drawing())
        return self

    def __exit__(self, *exception: object) -> None:
        """Leaves the terminal as it was, with all lines on it."""
        self._settle()
        self._exit.close()

    def _open(self, stack: ExitStack) -> None:
        self._terminal = os.dup(1)
        stack.callback(self._close)
        self.console = Console(file=text_to(Output(self._terminal), sys.stdout))
        caught = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]
        stack.enter_context(Capture(self._print_caught, caught))
        stack.enter_context(_last_words(self._terminal))
        stack.enter_context(_tidy_when_terminated(self.abandon))
        stack.enter_context(self._drawing())

    def _close(self) -> None:
        self.console.file.flush()
        self.console = _plain_console()
        os.close(self._terminal)

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """A thread draws the area again, several times a second."""
        is_over = threading.Event()

        def draw() -> None:
            while not is_over.wait(1 / DRAWN_PER_SECOND):
                with self._above():
                    pass

        drawer = threading.Thread(target=draw, name="screen", daemon=True)
        self.console.show_cursor(show=False)
        self.is_live = True
        with self._above():
            pass
        drawer.start()
        try:
            yield
        finally:
            is_over.set()
            drawer.join()
            with self._lock:
                self.is_live = False
                self._area.close(self.console)
                self.console.show_cursor()

    @contextmanager
    def _above(self) -> Iterator[None]:
        """What is printed meanwhile stands above the area, and reaches the terminal with it."""
        with self._lock, self.console:
            if self.is_live:
                self._follow_window()
                self._area.erase(self.console)
            yield
            if self.is_live:
                self._area.draw(self.console)

    def _follow_window(self) -> None:
        """Rich asks the standard descriptors for the size; they lead elsewhere now."""
        if not {"COLUMNS", "LINES"} & os.environ.keys():
            with suppress(OSError):  # it may be closed
                columns, lines = os.get_terminal_size(self._terminal)
                self.console.size = ConsoleDimensions(columns or 80, lines or 25)

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
            if not self.is_live or self._area.shown is not self._status:
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
                _print_line(Console(stderr=True), line)
            else:
                self._print(line)

    def print(self, renderable: RenderableType) -> None:
        """Prints a part of the result."""
        with self._lock:
            self._settle()
            with self._above():
                self.console.print(renderable)

    @contextmanager
    def showing(self, view: RenderableType) -> Iterator[None]:
        """Shows a view in the place of the status line."""
        with self._lock:
            self._settle()
            self._area.shown = view
        try:
            yield
        finally:
            self._area.shown = self._status

    def abandon(self) -> None:
        """Leaves the terminal usable for the shell, when there is time for no more."""
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
        with self._above():
            _print_line(self.console, line)

    def _print_caught(self, line: str) -> None:
        """Prints what others wrote: with its colors, without what moves the cursor."""
        with self._above():
            self.console.print(Text.from_ansi(line), highlight=False, soft_wrap=True)


def _plain_console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for a table in a log file.

    A kernel says that its output is a terminal, for its colors; but nothing moves on it.
    """
    console = Console(force_jupyter=False)
    if console.is_terminal and not is_notebook():
        return console
    return Console(width=PIPE_COLUMNS, force_terminal=False, force_jupyter=False)


def _print_line(console: Console, line: str) -> None:
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
    """A process that SIGTERM ends, where no other handler is set, shows the cursor again."""
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
