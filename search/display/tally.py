"""Counts and times what trains: the trials of a search, the trainings of a confirmation."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from search.analysis.noise import Sample
from search.records.events import EpochFinished, TrialEvent, TrialFinished, TrialStarted
from search.records.trials import TrialRecord, best_of, objective_of

Clock = Callable[[], float]  # seconds from any origin


@dataclass(kw_only=True)
class Training:
    """How far something is that trains."""

    epochs: int  # how many it takes
    clock: Clock  # that of its tally
    epoch: int = 0  # the last one it has trained; 0 while it is built and compiled
    losses: list[float] = field(default_factory=list)  # of the training rows, an epoch each
    # of the validation rows, where there are any
    accuracies: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return self.clock() - self._began

    def advance(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Notes one more epoch."""
        self.epoch = epoch
        if "train_loss" in metrics:
            self.losses.append(metrics["train_loss"])
        if (value := objective_of(metrics)) is not None:
            self.accuracies.append(value)


@dataclass(kw_only=True)
class RunningTrial(Training):
    """A trial that trains; ``trial`` is its record as it was when it began."""

    trial: TrialRecord


@dataclass(kw_only=True)
class RunningSeed(Training):
    """A contender that trains with its seed of that number, from 0, for a purpose in words."""

    name: str
    seed: int
    purpose: str


STARTS, WAITS = "starts", "waits for a trial"
"""What a worker without a trial does, before its first one and after it."""


class SearchTally:
    """The trials of a search.

    It starts from the trials that the study holds already; ``target`` is how many finished ones the
    search aims at, ``workers`` how many processes of this command run trials.
    """

    def __init__(
        self,
        target: int,
        epochs: int,
        trials: Iterable[TrialRecord],
        *,
        workers: int = 1,
        clock: Clock = time.monotonic,
    ) -> None:
        self.target = target
        self.epochs = epochs
        self.workers = workers
        self._trials = {trial.number: trial for trial in trials}
        self._slots: list[RunningTrial | str] = [STARTS] * workers
        self._running_anywhere = _running(self.trials)
        self._clock = clock
        self._started = self._last_finish = clock()
        self._finished_before = self.finished
        self._took_before = [
            trial.train_seconds
            for trial in self.trials
            if trial.is_finished and trial.train_seconds
        ]

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials that are known; a copy, as several threads note them."""
        return list(self._trials.copy().values())

    @property
    def finished(self) -> int:
        """How many trials count."""
        return sum(trial.is_finished for trial in self.trials)

    @property
    def best(self) -> TrialRecord | None:
        """The best complete trial so far."""
        return best_of(self.trials)

    @property
    def latest(self) -> list[TrialRecord]:
        """The trials that have ended, those that ended last first."""
        numbers = self._ended()
        ended = [trial for trial in self.trials if trial.number in numbers]
        return sorted(ended, key=lambda trial: (-(trial.ended_ms or 0), -trial.number))

    @property
    def slots(self) -> list[RunningTrial | str]:
        """What each worker of this command does, always in the same order: a trial, or words."""
        return list(self._slots)

    @property
    def running(self) -> list[RunningTrial]:
        """The trials that the workers of this command run."""
        return [slot for slot in self.slots if isinstance(slot, RunningTrial)]

    @property
    def running_elsewhere(self) -> int:
        """How many trials other processes run, as far as that was seen."""
        here = {running.trial.number for running in self.running}
        return len(self._running_anywhere - here - self._ended())

    @property
    def seconds(self) -> float:
        """How long this run has gone on."""
        return self._clock() - self._started

    def count(self, state: str) -> int:
        """Trials in that state."""
        return sum(trial.state == state for trial in self.trials)

    @property
    def is_measured(self) -> bool:
        """Whether the time left follows from this run, not from what trials took before it."""
        return self.finished > self._finished_before

    def seconds_left(self) -> float | None:
        """Time left, pruned trials included; None where no trial has shown how long one takes."""
        missing = max(self.target - self.finished, 0)
        if self.is_measured:
            pace = (self._last_finish - self._started) / (self.finished - self._finished_before)
            left = pace * missing - (self._clock() - self._last_finish)
        elif self._took_before:
            each = sum(self._took_before) / len(self._took_before)
            left = each * missing / self.workers - self.seconds
        else:
            return None
        return max(left, self._until_next() if missing else 0.0)

    def hear(self, event: TrialEvent) -> None:
        """Notes what happens to a trial."""
        match event:
            case TrialStarted(trial):
                self.start(trial)
            case EpochFinished(number, point):
                for running in self.running:
                    if running.trial.number == number:
                        running.advance(point.epoch, point.metrics)
            case TrialFinished(trial):
                self.finish(trial)

    def start(self, trial: TrialRecord) -> None:
        """Notes a trial that runs now, at the first worker that has none."""
        running = RunningTrial(trial=trial, epochs=self.epochs, clock=self._clock)
        for place, slot in enumerate(self._slots):
            if isinstance(slot, str):
                self._slots[place] = running
                return
        self._slots.append(running)  # of a worker that died, a trial could not be closed yet

    def finish(self, trial: TrialRecord) -> None:
        """Notes how a trial ended."""
        self._trials[trial.number] = trial
        if trial.is_finished:
            self._last_finish = self._clock()
        for place, slot in enumerate(self._slots):
            if isinstance(slot, RunningTrial) and slot.trial.number == trial.number:
                self._slots[place : place + 1] = [WAITS] if len(self._slots) <= self.workers else []
                return

    def look(self, trials: Iterable[TrialRecord]) -> None:
        """Notes how all trials stand, those of other processes included."""
        seen, known = list(trials), self._ended()
        for trial in seen:
            if trial.is_finished and trial.number not in known:
                self._trials[trial.number] = trial
                self._last_finish = self._clock()
        self._running_anywhere = _running(seen)

    def _until_next(self) -> float:
        """Seconds until the first running trial has all of its epochs; 0 where that is unknown."""
        return min(
            (
                running.seconds * (running.epochs / running.epoch - 1)
                for running in self.running
                if running.epoch
            ),
            default=0.0,
        )

    def _ended(self) -> set[int]:
        return {trial.number for trial in self.trials if trial.has_ended}


def _running(trials: Iterable[TrialRecord]) -> set[int]:
    return {trial.number for trial in trials if trial.state == "running"}


class ConfirmationTally:
    """The trainings of a confirmation.

    ``epochs`` are those of each contender by name, in the order in which they are trained: each
    ``seeds`` times, and the winner as often again for its tests. One that needs no comparison is
    ``tested`` alone.
    """

    def __init__(
        self,
        epochs: Mapping[str, int],
        seeds: int,
        *,
        tested: str | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.epochs = epochs
        self.seeds = seeds
        self._winner = tested
        compared = epochs.keys() - {tested}
        self.target = (len(compared) + 1) * seeds
        self.done = 0  # trainings whose results are known, those that were known before included
        self.current: RunningSeed | None = None  # the training that runs; None between two
        # accuracies of each contender so far, by name, a seed each; None if it collapsed
        self.validated: dict[str, list[float | None]] = {n: [] for n in epochs if n in compared}
        self.tested: list[float | None] = []  # the accuracies of the winner's tests so far
        self._clock = clock
        self._trained_seconds = 0.0
        self._trained_epochs = 0

    def start(self, name: str, seed: int, purpose: str) -> None:
        """Notes that a training begins."""
        self.current = RunningSeed(
            name=name, seed=seed, purpose=purpose, epochs=self.epochs[name], clock=self._clock
        )

    def finish(self, name: str, accuracy: float | None, *, is_test: bool) -> None:
        """Notes a result, None if it collapsed; one that nothing was trained for was known."""
        self.done += 1
        (self.tested if is_test else self.validated[name]).append(accuracy)
        if self.current is not None:
            self._trained_seconds += self.current.seconds
            self._trained_epochs += self.current.epochs
            self.current = None

    @property
    def ahead(self) -> str | None:
        """The contender with the highest mean so far, or the only one."""
        means = {name: Sample.of(each).mean for name, each in self.validated.items() if each}
        return max(means, key=lambda name: means[name], default=self._winner)

    def seconds_left(self) -> float | None:
        """Time left at the pace of the epochs of this run; None before its first training."""
        if self._trained_epochs == 0:
            return None
        epochs = sum(
            self.epochs[name] * (self.seeds - len(each)) for name, each in self.validated.items()
        )
        if self.ahead is not None:  # the winner is tested
            epochs += self.epochs[self.ahead] * (self.seeds - len(self.tested))
        pace = self._trained_seconds / self._trained_epochs
        current = self.current  # another thread ends it
        return max(epochs * pace - (current.seconds if current else 0.0), 0.0)
