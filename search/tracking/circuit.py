"""MLflow kept from holding up a search: a circuit breaker, and a thread that passes events on.

A tracking server that fails or is slow costs one warning, never a trial.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Self, TypeVar

from search.config.addresses import mask
from search.records.events import EpochFinished, Listener, TrialEvent

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


# --- beside the training ---------------------------------------------------------------------

CAPACITY = 1000
"""How many events may wait. Then epochs are dropped: the end of a trial tells its whole curve."""

PATIENCE_S = 30.0  # seconds that leaving takes at most; what was not passed on by then never is


class Background:
    """Passes events on to another listener, entered for as long as there are any.

    Training is one compiled call an epoch, which leaves Python's lock to others: what MLflow costs
    is paid beside it. Emitting an event never waits. When it is left, all events have been passed
    on, unless the listener is so slow that this would take too long.

    The listener is called from one thread, in the order of the events; when it raises, ``warn`` is
    told once, and later events are passed on as well. ``spare`` does some of what can wait, when no
    event does; it returns whether there is more to do at once, and is asked again after each event.
    """

    def __init__(
        self,
        listener: Listener,
        warn: Callable[[str], None],
        *,
        spare: Callable[[], bool] = lambda: False,
        capacity: int = CAPACITY,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._listener = listener
        self._warn = warn
        self._spare = spare
        self._capacity = capacity
        self._patience_s = patience_s
        self._waiting: deque[TrialEvent] = deque()
        self._change = threading.Condition()
        self._is_left = False
        self._thread = threading.Thread(target=self._pass_on, name="tracking", daemon=True)
        self._has_warned = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Waits until all events were passed on, but not for longer than its patience."""
        deadline = time.monotonic() + self._patience_s
        with self._change:
            self._is_left = True
            self._change.notify()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._change:
            self._waiting.clear()

    def hear(self, event: TrialEvent) -> None:
        """Passes the event on later, where there is room; epochs make room for starts and ends."""
        with self._change:
            if len(self._waiting) >= self._capacity and not isinstance(event, EpochFinished):
                others = (each for each in self._waiting if not isinstance(each, EpochFinished))
                self._waiting = deque(others)
            if len(self._waiting) < self._capacity:
                self._waiting.append(event)
                self._change.notify()

    def _next(self, wait_s: float | None) -> TrialEvent | None:
        """The next event, as soon as there is one; None when there is none in time or ever."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._is_left, wait_s)
            return self._waiting.popleft() if self._waiting else None

    def _pass_on(self) -> None:
        wait_s: float | None = 0.0
        while (event := self._next(wait_s)) or not self._is_left:
            begun = time.monotonic()
            has_more = True
            try:
                if event:
                    self._listener(event)
                else:
                    has_more = self._spare()
            except Exception as error:
                has_more = event is not None
                self._fail(error)
            # What can wait takes half of the time at most: it slows the training down.
            wait_s = (0.0 if event else time.monotonic() - begun) if has_more else None

    def _fail(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            cause = " ".join(str(error).split()) or "no message"
            self._warn(f"tracking failed ({type(error).__name__}: {cause}); the search goes on")
