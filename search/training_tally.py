"""Counts and times the trainings of a confirmation."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from search.noise import Sample
from search.trials import OBJECTIVE_METRIC


@dataclass(frozen=True)
class Plan:
    """What a confirmation trains.

    Attributes:
        epochs: of each contender, by its name, in the order in which they are trained.
        seeds: how often each of them is trained, and the winner once more for its tests.
    """

    epochs: Mapping[str, int]
    seeds: int

    @property
    def trainings(self) -> int:
        """How many trainings there are, the tests included."""
        return (len(self.epochs) + 1) * self.seeds


@dataclass
class Training:
    """The training that runs.

    Attributes:
        name: of the contender.
        seed: its number, from 0.
        purpose: what it is for, in words.
        epochs: how many it takes.
        epoch: the last that was trained.
        losses: of the epochs' training rows, so far.
        accuracies: on validation rows, where there are any.
        began: on the clock of the tally.
    """

    name: str
    seed: int
    purpose: str
    epochs: int
    began: float
    epoch: int = 0
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)

    def advance(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Notes one more epoch."""
        self.epoch = epoch
        if "train_loss" in metrics:
            self.losses.append(metrics["train_loss"])
        if OBJECTIVE_METRIC in metrics:
            self.accuracies.append(metrics[OBJECTIVE_METRIC])


class TrainingTally:
    """Takes in the trainings of a confirmation, and tells how it stands.

    Args:
        plan: what is trained.
        clock: seconds from any origin.

    Attributes:
        done: trainings whose results are known, those that were known before included.
        current: the training that runs; None between two.
        validated: accuracies of each contender so far, by name, a seed each; None if it collapsed.
        tested: the accuracies of the winner's tests so far.
    """

    def __init__(self, plan: Plan, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.plan = plan
        self.done = 0
        self.current: Training | None = None
        self.validated: dict[str, list[float | None]] = {name: [] for name in plan.epochs}
        self.tested: list[float | None] = []
        self._clock = clock
        self._seconds = 0.0
        self._epochs = 0

    def start(self, name: str, seed: int, purpose: str, epochs: int) -> None:
        """Notes that a training begins."""
        self.current = Training(name, seed, purpose, epochs, self._clock())

    def advance(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Notes one more epoch of the current training."""
        if self.current is not None:
            self.current.advance(epoch, metrics)

    def finish(self, name: str, accuracy: float | None, *, is_test: bool) -> float | None:
        """Notes a result, None if it collapsed; one that nothing was trained for was known before.

        Returns:
            The seconds that it took; None where it was known.
        """
        self.done += 1
        (self.tested if is_test else self.validated.setdefault(name, [])).append(accuracy)
        if self.current is None:
            return None
        seconds = self.seconds
        self._seconds += seconds
        self._epochs += self.current.epochs
        self.current = None
        return seconds

    @property
    def seconds(self) -> float:
        """How long the current training has run."""
        return 0.0 if self.current is None else self._clock() - self.current.began

    @property
    def means(self) -> dict[str, Sample]:
        """Mean and deviation of each contender that has a result."""
        return {name: Sample.of(values) for name, values in self.validated.items() if values}

    def seconds_left(self) -> float | None:
        """Time left at the pace of the epochs of this run; None before its first training."""
        if self._epochs == 0:
            return None
        left: float = sum(
            epochs * (self.plan.seeds - len(self.validated[name]))
            for name, epochs in self.plan.epochs.items()
        )
        left += self._epochs_of_a_test() * (self.plan.seeds - len(self.tested))
        return max(left * self._seconds / self._epochs - self.seconds, 0.0)

    def _epochs_of_a_test(self) -> float:
        """Those of whoever is ahead, since the winner is tested."""
        means = self.means
        ahead = max(means, key=lambda name: means[name].mean, default=None)
        return 0 if ahead is None else self.plan.epochs.get(ahead, 0)
