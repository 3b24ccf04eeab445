"""A running confirmation in a terminal: the trainings, the one that runs, the means so far."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from search.analysis.noise import Sample
from search.display.parts import (
    Column,
    add_row,
    fitting,
    overall,
    short_clock,
    sparkline,
    table_of,
    time_left,
)
from search.records.trials import OBJECTIVE_METRIC


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


_COLUMNS = (
    Column(name="contender", width=31, rank=0, right=False),
    Column(name="epochs", width=6, rank=3),
    Column(name="seeds", width=7, rank=1),
    Column(name="mean accuracy", width=15, rank=2, right=False),
)
LEAST_ROWS = 9
CURVE = 12


class ConfirmationView:
    """Drawn anew, as often as it is shown, from the tally of a confirmation.

    Args:
        tally: of the confirmation.
        name: of the study.
    """

    def __init__(self, tally: TrainingTally, *, name: str) -> None:
        self._tally = tally
        self._name = name

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.size.height
        tally = self._tally
        left = time_left(tally.seconds_left())
        yield overall(self._name, "trainings", tally.done, tally.plan.trainings, left, width)
        current = tally.current
        yield _cut(
            Text(_what(current, tally.plan.seeds) if current else "between two trainings"), width
        )
        yield _cut(self._epoch(current, ascii_only=options.ascii_only), width)
        if height >= LEAST_ROWS:
            yield ""
            yield from self._means(width, height - 6)

    def _epoch(self, current: Training | None, *, ascii_only: bool) -> Text:
        if current is None:
            return Text("")
        if current.epoch == 0:
            return Text(f"compiles  {short_clock(self._tally.seconds)}", style="dim")
        parts = [f"epoch {current.epoch}/{current.epochs}", short_clock(self._tally.seconds)]
        if current.losses:
            curve = sparkline(current.losses, CURVE, ascii_only=ascii_only)
            parts.append(f"train loss {current.losses[-1]:.4f}  {curve}")
        if current.accuracies:
            parts.append(f"accuracy {current.accuracies[-1]:.4f}")
        return Text("  ".join(parts))

    def _means(self, width: int, most: int) -> RenderResult:
        """A row for each contender, the best on average in green; then the tests."""
        tally = self._tally
        columns = fitting(_COLUMNS, width)
        table = table_of(columns)
        add_row(table, columns, {each.name: each.name for each in columns}, style="bold")
        means = tally.means
        ahead = max(means, key=lambda name: means[name].mean, default=None)
        for name, epochs in list(tally.plan.epochs.items())[:most]:
            cells = {
                "contender": name,
                "epochs": str(epochs),
                **self._so_far(tally.validated[name]),
            }
            add_row(table, columns, cells, style="green" if name == ahead else "")
        if tally.tested:
            cells = {"contender": f"test of {ahead}", **self._so_far(tally.tested)}
            add_row(table, columns, cells, style="green")
        yield table

    def _so_far(self, values: list[float | None]) -> dict[str, str]:
        seeds = f"{len(values)}/{self._tally.plan.seeds}"
        return {"seeds": seeds, "mean accuracy": str(Sample.of(values)) if values else ""}


def _what(current: Training, seeds: int) -> str:
    return f"{current.name}, seed {current.seed + 1} of {seeds}: {current.purpose}"


def _cut(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    return text
