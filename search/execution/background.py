"""A listener that takes its time is told the events in a thread of its own, in order.

Training is one compiled call an epoch, which leaves Python's lock to others. So what MLflow costs
is paid beside the training, not after it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Self

from search.records.events import EpochFinished, Listener, TrialEvent

CAPACITY = 1000
"""How many events may wait. Then epochs are dropped: the end of a trial tells its whole curve."""

PATIENCE_S = 30.0  # seconds that leaving takes at most; what was not passed on by then never is


class Background:
    """Passes events on to another listener, entered for as long as there are any.

    Emitting an event never waits. When it is left, all events have been passed on, unless the
    listener is so slow that this would take too long.

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
