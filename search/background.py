"""A watcher that takes its time: what it is told is done in a thread of its own, in order.

Training is one compiled call an epoch, which leaves Python's lock to others. So what MLflow and
pictures cost is paid beside the training, not after it.
"""

import queue
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from search.trials import CurvePoint, TrialRecord

if TYPE_CHECKING:
    from search.objective import TrialWatcher

CAPACITY = 1000
"""How many events may wait; then whoever tells the next one waits as well. None is dropped."""


class Background:
    """Passes events on to another watcher, entered for as long as there are any.

    When it is left, everything it was told has been passed on.

    Args:
        watcher: called from one thread, in the order of the events.
        warn: told in one line, once, when the watcher raises; it is told later events all the same.
        capacity: how many events may wait.
    """

    def __init__(
        self, watcher: "TrialWatcher", warn: Callable[[str], None], *, capacity: int = CAPACITY
    ) -> None:
        self._watcher = watcher
        self._warn = warn
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._pass_on, name="tracking", daemon=True)
        self._has_warned = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Waits until all events were passed on."""
        self._waiting.put(None)
        self._thread.join()

    def trial_started(self, trial: TrialRecord) -> None:
        """Passed on later."""
        self._waiting.put(partial(self._watcher.trial_started, trial))

    def epoch_finished(self, number: int, point: CurvePoint) -> None:
        """Passed on later."""
        self._waiting.put(partial(self._watcher.epoch_finished, number, point))

    def trial_finished(self, trial: TrialRecord, towers: Path | None) -> None:
        """Passed on later."""
        self._waiting.put(partial(self._watcher.trial_finished, trial, towers))

    def _pass_on(self) -> None:
        while (event := self._waiting.get()) is not None:
            try:
                event()
            except Exception as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            cause = " ".join(str(error).split()) or "no message"
            self._warn(f"tracking failed ({type(error).__name__}: {cause}); the search goes on")
