"""Counts and times the trials of a search: what every view of it shows."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from search.records.events import EpochFinished, TrialEvent, TrialFinished, TrialStarted
from search.records.trials import OBJECTIVE_METRIC, CurvePoint, TrialRecord, best_of


class Running:
    """How far a running trial is.

    Attributes:
        trial: as it was when it began.
        epoch: the last one it has trained; 0 while it is built and compiled.
        accuracies: validation top-100 accuracies so far, in order.
        loss: of the last epoch's training; None before it.
    """

    def __init__(self, trial: TrialRecord, began: float) -> None:
        self.trial = trial
        self.epoch = 0
        self.accuracies: list[float] = []
        self.loss: float | None = None
        self._began = began

    def advance(self, point: CurvePoint) -> None:
        """Notes one more epoch."""
        self.epoch = point.epoch
        self.loss = point.metrics.get("train_loss", self.loss)
        if OBJECTIVE_METRIC in point.metrics:
            self.accuracies.append(point.metrics[OBJECTIVE_METRIC])

    def seconds(self, now: float) -> float:
        """How long it has run."""
        return now - self._began


@dataclass(frozen=True)
class Slot:
    """What one worker of this command does.

    Attributes:
        running: its trial; None while it has none.
        had_one: whether it has run one before.
    """

    running: Running | None
    had_one: bool


@dataclass(frozen=True)
class TimeLeft:
    """An estimate.

    Attributes:
        seconds: until the search has its trials.
        is_measured: at the pace of this run; otherwise from what trials took before it.
    """

    seconds: float
    is_measured: bool


class Tally:
    """Takes in what happens in a search, and tells how it stands.

    Args:
        target: how many finished trials the search aims at.
        epochs: epochs of a whole trial.
        trials: the trials the study holds already.
        workers: how many processes of this command run trials.
        clock: seconds from any origin.
    """

    def __init__(
        self,
        target: int,
        epochs: int,
        trials: Iterable[TrialRecord],
        *,
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self.epochs = epochs
        self.workers = workers
        self._trials = {trial.number: trial for trial in trials}
        self._slots: list[int | None] = [None] * workers
        self._had_one = [False] * workers
        self._running: dict[int, Running] = {}
        self._running_anywhere = self._numbers_running(self.trials)
        self._clock = clock
        self._started = self._last_finish = clock()
        self._finished_before = self.finished
        self._seconds_before = [
            trial.train_seconds
            for trial in self.trials
            if trial.is_finished and trial.train_seconds
        ]

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials that are known of; a copy, as several threads note them."""
        return list(self._trials.copy().values())

    @property
    def finished(self) -> int:
        """Complete and pruned trials: those that count."""
        return sum(trial.is_finished for trial in self.trials)

    @property
    def best(self) -> TrialRecord | None:
        """The best complete trial so far."""
        return best_of(self.trials)

    @property
    def latest(self) -> list[TrialRecord]:
        """The trials that have ended, those that ended last first."""
        ended = [trial for trial in self.trials if trial.state not in ("running", "waiting")]
        return sorted(ended, key=lambda trial: (-(trial.ended_ms or 0), -trial.number))

    @property
    def slots(self) -> list[Slot]:
        """What each worker of this command does, always in the same order."""
        running = self._running.copy()
        return [
            Slot(None if number is None else running.get(number), had_one)
            for number, had_one in zip(list(self._slots), list(self._had_one), strict=False)
        ]

    @property
    def running_here(self) -> int:
        """How many trials the workers of this command run."""
        return len(self._running)

    @property
    def running_elsewhere(self) -> int:
        """How many trials other processes run, as far as that was seen."""
        return len(self._running_anywhere - self._running.keys() - self._ended())

    @property
    def seconds(self) -> float:
        """How long this run has gone on."""
        return self._clock() - self._started

    def seconds_of(self, running: Running) -> float:
        """How long a running trial has run."""
        return running.seconds(self._clock())

    def count(self, state: str) -> int:
        """Trials in that state."""
        return sum(trial.state == state for trial in self.trials)

    def time_left(self) -> TimeLeft | None:
        """Time left, pruned trials included; None where no trial has told how long one takes."""
        missing = max(self.target - self.finished, 0)
        own = self.finished - self._finished_before
        if own > 0:
            pace = (self._last_finish - self._started) / own
            since = self._clock() - self._last_finish
            left = max(pace * missing - since, self._until_next() if missing else 0.0)
            return TimeLeft(left, is_measured=True)
        if not self._seconds_before:
            return None
        each = sum(self._seconds_before) / len(self._seconds_before)
        left = each * missing / self.workers - self.seconds
        return TimeLeft(max(left, self._until_next() if missing else 0.0), is_measured=False)

    def hear(self, event: TrialEvent) -> None:
        """Notes what happens to a trial."""
        match event:
            case TrialStarted(trial):
                self.start(trial)
            case EpochFinished(number, point):
                self.advance(number, point)
            case TrialFinished(trial):
                self.finish(trial)

    def start(self, trial: TrialRecord) -> None:
        """Notes a trial that runs now, at the first worker that has none."""
        self._running[trial.number] = Running(trial, self._clock())
        if None in self._slots:
            place = self._slots.index(None)
            self._slots[place] = trial.number
        else:  # a worker that died, whose trial could not be closed yet
            self._slots.append(trial.number)
            self._had_one.append(False)

    def advance(self, number: int, point: CurvePoint) -> None:
        """Notes an epoch of a running trial."""
        if number in self._running:
            self._running[number].advance(point)

    def finish(self, trial: TrialRecord) -> None:
        """Notes how a trial ended."""
        self._trials[trial.number] = trial
        if trial.is_finished:
            self._last_finish = self._clock()
        self._running.pop(trial.number, None)
        if trial.number in self._slots:
            self._free(self._slots.index(trial.number))

    def look(self, trials: Iterable[TrialRecord]) -> None:
        """Notes how all trials stand, those of other processes included."""
        seen = list(trials)
        for trial in seen:
            if trial.is_finished and trial.number not in self._ended():
                self._trials[trial.number] = trial
                self._last_finish = self._clock()
        self._running_anywhere = self._numbers_running(seen)

    def _until_next(self) -> float:
        """Seconds until the first running trial has all of its epochs; 0 where nobody knows."""
        now = self._clock()
        running = [each for each in self._running.copy().values() if each.epoch]
        return min(
            (each.seconds(now) * (self.epochs / each.epoch - 1) for each in running), default=0.0
        )

    def _free(self, place: int) -> None:
        if len(self._slots) > self.workers:
            del self._slots[place], self._had_one[place]
        else:
            self._slots[place] = None
            self._had_one[place] = True

    def _ended(self) -> set[int]:
        return {trial.number for trial in self.trials if trial.state not in ("running", "waiting")}

    @staticmethod
    def _numbers_running(trials: Iterable[TrialRecord]) -> set[int]:
        return {trial.number for trial in trials if trial.state == "running"}
