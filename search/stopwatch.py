"""A stopwatch for the work a trial is about, without what is done around it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up time.

    Args:
        clock: seconds from any origin.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = 0.0
        self._clock = clock
        self._since = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts the time inside; to be entered once at a time."""
        self._since = self._clock()
        try:
            yield
        finally:
            self.seconds += self._clock() - self._since

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the time inside out; to be entered while it is running."""
        self.seconds += self._clock() - self._since
        try:
            yield
        finally:
            self._since = self._clock()
