"""A circuit breaker: a tracking server that fails costs one warning, never a trial."""

import time
from collections.abc import Callable
from typing import TypeVar

from search.tracking.destination import mask

Result = TypeVar("Result")

FIRST_PAUSE_S = 30.0
"""Quiet time after a failure; it doubles with each further failure ..."""
LONGEST_PAUSE_S = 300.0
"""... up to this."""


class Circuit:
    """Runs actions against the tracking server until one fails, then pauses.

    Args:
        warn: told once, in one line, when the first action fails.
        explain: an exception as a short cause for people.
        clock: seconds; for tests.
    """

    def __init__(
        self,
        warn: Callable[[str], None],
        explain: Callable[[Exception], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._warn = warn
        self._explain = explain
        self._clock = clock
        self._retry_at: float | None = None
        self._pause_s = FIRST_PAUSE_S
        self._warned = False

    @property
    def is_open(self) -> bool:
        """Whether actions are being skipped at this moment."""
        return self._retry_at is not None and self._clock() < self._retry_at

    def attempt(
        self, action: Callable[[], Result], otherwise: Result, *, even_if_open: bool = False
    ) -> Result:
        """Run an action unless the server failed a short while ago.

        Args:
            action: may raise anything; what it raises ends here (Ctrl-C excepted).
            otherwise: what to return when the action was skipped or failed.
            even_if_open: try in any case, as at the end of a search.

        Returns:
            What the action returned, or ``otherwise``.
        """
        if self.is_open and not even_if_open:
            return otherwise
        try:
            result = action()
        except Exception as error:
            self._fail(error)
            return otherwise
        self._retry_at = None
        self._pause_s = FIRST_PAUSE_S
        return result

    def _fail(self, error: Exception) -> None:
        self._retry_at = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        if not self._warned:
            self._warned = True
            self._warn(
                f"MLflow: {mask(self._explain(error))}. The search goes on without it; "
                "what is missing there is added once it answers, at the latest by the next run"
            )
