"""Heartbeats: a worker writes them for its trial, and watches those of the others.

A heartbeat is a counter, so no clock of another machine is compared. A trial whose counter has not
changed for the grace period is silent. Only the time in which the watcher itself was awake counts:
after an outage, or after it was stopped itself, it starts anew.
"""

import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Generic, Self, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from search.records.errors import StorageLostError
from search.scheduling import BEATS_IN_GRACE, GRACE_SECONDS
from search.storage.attributes import BEAT
from search.storage.trials import note

Name = TypeVar("Name", bound=Hashable)


class Watch(Generic[Name]):
    """Measures how long each of several counters has stood still.

    One that stood still for ``grace_seconds`` is silent. A look adds ``longest_step`` seconds at
    most, however long ago the last was.
    """

    def __init__(self, grace_seconds: float, longest_step: float) -> None:
        self._grace_seconds = grace_seconds
        self._longest_step = longest_step
        self._seen: dict[Name, tuple[int, float]] = {}  # the count, and seconds without a change
        self._looked_at: float | None = None

    def look(self, counts: Mapping[Name, int], now: float) -> frozenset[Name]:
        """Takes in how the counters stand now (seconds from any origin); returns the silent."""
        step = 0.0 if self._looked_at is None else min(now - self._looked_at, self._longest_step)
        self._looked_at = now
        before = self._seen
        self._seen = {}
        for name, count in counts.items():
            last, silent = before.get(name, (None, 0.0))
            self._seen[name] = (count, silent + step if last == count else 0.0)
        return frozenset(
            name for name, (_, silent) in self._seen.items() if silent >= self._grace_seconds
        )


class Pulse:
    """Beats and watches in a thread of its own, entered for as long as a worker works.

    ``on_look`` is called with all trials after every look.
    """

    def __init__(
        self,
        study: optuna.Study,
        *,
        grace_seconds: float = GRACE_SECONDS,
        on_look: Callable[[Sequence[FrozenTrial]], None] = lambda _trials: None,
    ) -> None:
        # numbers of the running trials without a heartbeat for that long
        self.silent: Collection[int] = frozenset()
        self._study = study
        self._interval = grace_seconds / BEATS_IN_GRACE
        self._watch: Watch[int] = Watch(grace_seconds, longest_step=2 * self._interval)
        self._on_look = on_look
        self._trial: optuna.Trial | None = None
        self._beats = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the thread; one that waits for a storage that is away is left to itself."""
        self._is_over.set()
        self._thread.join(timeout=self._interval)

    @contextmanager
    def beating(self, trial: optuna.Trial) -> Iterator[None]:
        """Writes heartbeats of a trial."""
        self._trial = trial
        try:
            yield
        finally:
            self._trial = None

    def beat(self) -> None:
        """One heartbeat, and one look at the others; for the thread, and for tests."""
        if (trial := self._trial) is not None:
            self._beats += 1
            with suppress(UpdateFinishedTrialError):  # the trial is over
                note(self._study, trial, **{BEAT: self._beats})
        trials = self._study.get_trials(deepcopy=False)
        counts = {
            trial.number: trial.user_attrs.get(BEAT, 0)
            for trial in trials
            if trial.state == TrialState.RUNNING
        }
        self.silent = self._watch.look(counts, time.monotonic())
        self._on_look(trials)

    def _go_on(self) -> None:
        while not self._is_over.wait(self._interval):
            with suppress(StorageLostError):  # the search finds out by itself
                self.beat()
