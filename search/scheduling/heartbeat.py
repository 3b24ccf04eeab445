"""Heartbeats: a worker writes its own, watches those of others, and closes what is stale.

A heartbeat is a counter, so no clock of another machine is compared. A trial whose counter has not
changed for the grace period is silent. Only the time in which the watcher itself was awake counts:
after an outage, or after it was stopped itself, it starts anew.

A trial whose process died or stands still is closed while the claim is held, so that its
configuration runs again. Its worker may live after all and wake up late: then it finds the trial
finished, and its result is dropped.
"""

import copy
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from search.records.errors import StorageLostError
from search.scheduling import BEATS_IN_GRACE, GRACE_SECONDS
from search.storage.attributes import (
    BEAT,
    DIED,
    ERROR,
    INTERRUPTED,
    OOM,
    REASON,
    SUPERSEDED,
    WORKER,
)
from search.storage.trials import fail, family_of, note, was_interrupted, was_superseded

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


MOST_DEATHS = 2  # so many workers may die with a configuration; then it is given up

LEAST_FAILURES = 3
"""So many failures in a row, at least, say something about what they have in common."""

SILENT = "its process sent no heartbeat"
"""Why a trial is closed that a living worker may still be at."""

OUT_OF_MEMORY = "the system ended its process for want of memory"
"""Why a trial is closed whose configuration needs more memory than there is."""

IsStale = Callable[[FrozenTrial], bool]


@dataclass(frozen=True)
class Closed:
    """A trial that was closed."""

    number: int
    deaths: Sequence[int]  # numbers of the trials of its configuration whose processes died
    out_of_memory: bool = False  # whether the kernel ended its process for want of memory

    @property
    def is_given_up(self) -> bool:
        """Whether the configuration will not run again."""
        return self.out_of_memory or len(self.deaths) >= MOST_DEATHS

    @property
    def reason(self) -> str:
        """Why it is given up, where it is."""
        died = f"{len(self.deaths)} processes died with it; the configuration is given up"
        return OUT_OF_MEMORY if self.out_of_memory else died

    @property
    def line(self) -> str:
        """What happened, for people."""
        if not self.is_given_up:
            return f"trial {self.number} lost its process and runs again"
        numbers = "" if self.out_of_memory else f" (trials {', '.join(map(str, self.deaths))})"
        return f"trial {self.number} failed: {self.reason}{numbers}"


def stale_if(*, dead: Collection[str] = (), silent: Collection[int] = ()) -> IsStale:
    """The rule by which a RUNNING trial, seen while the claim is held, has lost its process.

    Either its worker is known to be dead, or the trial has sent no heartbeat for too long.
    """

    def is_stale(trial: FrozenTrial) -> bool:
        # One that names no worker was left by a process that died while it held the claim.
        worker = trial.user_attrs.get(WORKER)
        return worker is None or worker in dead or trial.number in silent

    return is_stale


def all_stale(_trial: FrozenTrial) -> bool:
    """The rule where no other process is at work."""
    return True


def close_stale(
    study: optuna.Study,
    is_stale: IsStale,
    *,
    reason: str = "the process that ran it died",
    out_of_memory: bool = False,
    lost: Collection[str] = (),
) -> list[Closed]:
    """Records RUNNING trials that lost their process as interrupted, to run again.

    One whose configuration took a second process with it is recorded as failed instead, as is one
    that ran out of memory. Workers that were ``lost`` died because their machine did, which says
    nothing of a configuration.
    """
    trials = study.get_trials(deepcopy=False)
    found = []
    for trial in trials:
        if trial.state == TrialState.RUNNING and is_stale(trial):
            has_begun = WORKER in trial.user_attrs and trial.user_attrs[WORKER] not in lost
            deaths = _deaths(trial, trials) + ([trial.number] if has_begun else [])
            closed = Closed(trial.number, deaths, out_of_memory=out_of_memory and has_begun)
            with suppress(UpdateFinishedTrialError):  # its worker ended it at this very moment
                _close(study, trial, closed, reason, has_begun=has_begun)
                found.append(closed)
    return found


def mark_interrupted(study: optuna.Study, trial: FrozenTrial | optuna.Trial, reason: str) -> None:
    """Notes, while the trial is unfinished, that it did not fail by itself: it will run again."""
    note(study, trial, **{INTERRUPTED: True, REASON: reason})


def supersede(study: optuna.Study, trial: FrozenTrial | optuna.Trial) -> None:
    """Ends a trial that another one took the place of before it began."""
    with suppress(UpdateFinishedTrialError):
        reason = "another process decided in its place before it began"
        note(study, trial, **{SUPERSEDED: True, REASON: reason})
        fail(study, trial)


def _close(
    study: optuna.Study, trial: FrozenTrial, closed: Closed, reason: str, *, has_begun: bool
) -> None:
    if has_begun:
        note(study, trial, **{DIED: True})
    if closed.out_of_memory:
        note(study, trial, **{OOM: True})
    if closed.is_given_up:
        note(study, trial, **{REASON: closed.reason})
    else:
        mark_interrupted(study, trial, reason)
    fail(study, trial)


def _deaths(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> list[int]:
    """Earlier trials of the configuration whose processes died."""
    return [
        other.number
        for other in trials
        if other.number != trial.number
        and other.state == TrialState.FAIL
        and other.user_attrs.get(DIED)
        and family_of(other) == family_of(trial)
    ]


def excused(trials: Sequence[FrozenTrial], limit: int) -> list[FrozenTrial]:
    """The trials as what runs next is decided by: those without a fair run count as interrupted.

    Where one configuration after another fails with the same type of error until the search gives
    up, the fault is the environment's: a device that broke, a library of another version. The next
    search tries them again, with the same seeds. It stops as soon if nothing has changed.

    ``limit`` is how many failures in a row end a search.
    """
    found = list(trials)
    for row in _rows_of_one_error(trials):
        families = {family_of(trial) for trial in row}
        if len(row) >= max(limit, LEAST_FAILURES) and len(families) >= LEAST_FAILURES:
            for trial in row:
                found[trial.number] = copy.copy(trial)
                found[trial.number].user_attrs = {**trial.user_attrs, INTERRUPTED: True}
    return found


def _rows_of_one_error(trials: Sequence[FrozenTrial]) -> list[list[FrozenTrial]]:
    """Failed trials one after another, with no other end of a trial between them."""
    rows: list[list[FrozenTrial]] = [[]]
    for trial in trials:
        if not trial.state.is_finished() or was_interrupted(trial) or was_superseded(trial):
            continue
        error = trial.user_attrs.get(ERROR) if trial.state == TrialState.FAIL else None
        if error is None or (rows[-1] and rows[-1][-1].user_attrs[ERROR] != error):
            rows.append([])
        if error is not None:
            rows[-1].append(trial)
    return rows
