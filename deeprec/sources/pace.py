"""How far a long piece of work is, in lines, with an estimate of what is left."""

import time
from collections.abc import Callable

Announce = Callable[[str], None]
"""Called with one line at a time: what is happening."""

REPORT_SECONDS = 10.0
"""Between two lines."""


class Pace:
    """Announces how many rows of a known number are done.

    The rate is that since the first call: what came before it may have taken long.

    They are announced at most every ``REPORT_SECONDS`` as in "2 of 4 ratings read", and once all
    are done with what comes ``then``. The clock is in seconds.
    """

    def __init__(
        self,
        total: int,
        what: str,
        announce: Announce,
        *,
        then: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._what, self._then = total, what, then
        self._announce, self._clock = announce, clock
        self._first: tuple[int, float] | None = None
        self._reported = clock()

    def __call__(self, done: int) -> None:
        """Takes note that so many rows are done."""
        now = self._clock()
        if self._first is None:
            self._first = (done, now)
        line = f"{done:,} of {self._total:,} {self._what}"
        first_done, began = self._first
        if done >= self._total:
            self._announce(f"{line}; {self._then}")
        elif now - self._reported >= REPORT_SECONDS and done > first_done:
            self._reported = now
            left = (self._total - done) * (now - began) / (done - first_done)
            self._announce(f"{line}, {in_words(left)} left")


def in_words(seconds: float) -> str:
    """A duration that is known roughly: ``about 20 seconds``, ``about 55 minutes``."""
    if seconds < 90:
        return f"about {max(seconds, 2):.0f} seconds"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.1f} hours"
