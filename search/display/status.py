"""One line that says what is done now, and for how long."""

import time
from collections.abc import Callable

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from search.display.parts import short_clock

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
ASCII_FRAMES = "-\\|/"
FRAMES_PER_SECOND = 8


class Status:
    """A spinner, words and the seconds since they were said.

    Args:
        clock: seconds from any origin.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.say("starting")

    def say(self, text: str) -> None:
        """From now on something else is done."""
        self.text = text
        self._since = self._clock()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        seconds = self._clock() - self._since
        frames = ASCII_FRAMES if options.ascii_only else FRAMES
        frame = frames[int(seconds * FRAMES_PER_SECOND) % len(frames)]
        elapsed = f"  {short_clock(int(seconds))}" if seconds >= 1 else ""
        words = Text(self.text)
        words.truncate(
            max(options.max_width - len(frame) - 1 - len(elapsed), 1), overflow="ellipsis"
        )
        yield Text.assemble((frame, "cyan"), " ", words, (elapsed, "dim"))
