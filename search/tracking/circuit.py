"""A circuit breaker: a tracking server that fails or is slow costs one warning, never a trial."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from search.config.addresses import mask

Result = TypeVar("Result")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 60.0
"""Quiet time after a failure; it doubles with each further one, up to the second number."""
SLOW_S = 10.0  # an action that takes longer is a failure as well, even if it succeeds

GOES_ON = (
    "The search goes on without it; what is missing there is added once it answers, at the latest "
    "by the next run"
)


class Circuit:
    """Runs actions against the tracking server until one fails, then pauses.

    ``explain`` makes a short cause for people of an exception; ``consequence`` ends the warning.
    There is one action at a time: another thread waits ``turn_s`` seconds for its turn.
    """

    def __init__(
        self,
        warn: Callable[[str], None],
        explain: Callable[[Exception], str],
        clock: Callable[[], float] = time.monotonic,
        *,
        consequence: str = GOES_ON,
        turn_s: float = 30.0,
    ) -> None:
        self._warn = warn
        self._explain = explain
        self._clock = clock
        self._consequence = consequence
        self._turn = threading.Lock()
        self._turn_s = turn_s
        self._retry_at: float | None = None
        self._pause_s = FIRST_PAUSE_S
        self._has_warned = False

    @property
    def is_open(self) -> bool:
        """Whether actions are being skipped at this moment."""
        return self._retry_at is not None and self._clock() < self._retry_at

    @property
    def is_broken(self) -> bool:
        """Whether the last action failed, however long ago."""
        return self._retry_at is not None

    def attempt(
        self,
        action: Callable[[], Result],
        otherwise: Result,
        *,
        even_if_open: bool = False,
        slow_s: float = SLOW_S,
    ) -> Result:
        """Run an action unless the server failed a short while ago.

        The action may raise anything; what it raises ends here (Ctrl-C excepted). It must not
        attempt another one. Where it is skipped or fails, ``otherwise`` is returned. To take more
        than ``slow_s`` seconds is a failure as well, though its result is returned.
        """
        if (self.is_open and not even_if_open) or not self._turn.acquire(timeout=self._turn_s):
            return otherwise
        try:
            begun = self._clock()
            result = action()
            took = self._clock() - begun
            if took > slow_s:
                self._pause(f"it is slow, an update took {took:.0f} s")
            else:
                self._retry_at, self._pause_s, self._has_warned = None, FIRST_PAUSE_S, False
        except Exception as error:
            self.fail(error)
            return otherwise
        finally:
            self._turn.release()
        return result

    def fail(self, error: Exception) -> None:
        """Note a failure: warn unless that was done, and pause."""
        self._pause(self._explain(error))

    def _pause(self, cause: str) -> None:
        self._retry_at = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        if not self._has_warned:
            self._has_warned = True
            self._warn(f"MLflow: {mask(cause)}. {self._consequence}")
