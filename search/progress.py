"""What a running search shows: a live view in a terminal, one plain line a trial elsewhere."""

import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.trials import OBJECTIVE_METRIC, CurvePoint, TrialRecord, best_of


class Progress:
    """Shows a search: a watcher of its trials, entered for as long as the search runs.

    This one shows announced lines on standard error and nothing else; the others show more.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Leaves the terminal as it was."""

    def announce(self, line: str) -> None:
        """Shows a line of its own."""
        Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)

    def look(self, trials: Iterable[TrialRecord]) -> None:
        """Takes in how all trials stand, those of other processes included."""

    def trial_started(self, trial: TrialRecord) -> None:
        """A trial has its configuration and begins to train."""

    def epoch_finished(self, number: int, point: CurvePoint) -> None:
        """Trial ``number`` has trained one more epoch."""

    def trial_finished(self, trial: TrialRecord, towers: Path | None) -> None:
        """A trial is over."""


def make_progress(
    console: Console, *, trials: int, epochs: int, done: Iterable[TrialRecord], quiet: bool
) -> Progress:
    """The view that fits where the output goes.

    Args:
        console: where to show it.
        trials: how many finished trials the search aims at.
        epochs: epochs of a whole trial.
        done: the trials the study holds already.
        quiet: show nothing but announced warnings.
    """
    tally = Tally(trials, epochs, list(done))
    if quiet:
        return Progress()
    return LiveProgress(console, tally) if console.is_terminal else PlainProgress(console, tally)


class Tally:
    """Counts and times the trials of a search: what every view shows.

    Args:
        target: how many finished trials the search aims at.
        epochs: epochs of a whole trial.
        trials: the trials the study holds already.
        clock: seconds from any origin.
    """

    def __init__(
        self,
        target: int,
        epochs: int,
        trials: list[TrialRecord],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self.epochs = epochs
        self._trials = {trial.number: trial for trial in trials}
        self.running: dict[int, Running] = {}
        self._clock = clock
        self._started = clock()
        self._finished_before = self.finished

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials that are known of; a copy, as several threads note them."""
        return list(self._trials.values())

    @property
    def finished(self) -> int:
        """Complete and pruned trials: those that count."""
        return sum(trial.is_finished for trial in self.trials)

    @property
    def best(self) -> TrialRecord | None:
        """The best complete trial so far."""
        return best_of(self.trials)

    def count(self, state: str) -> int:
        """Trials in that state."""
        return sum(trial.state == state for trial in self.trials)

    def seconds_left(self) -> float | None:
        """Time left at the pace of this run, pruned trials included; None before its first."""
        finished = self.finished - self._finished_before
        if finished == 0:
            return None
        pace = (self._clock() - self._started) / finished
        return pace * max(self.target - self.finished, 0)

    def start(self, trial: TrialRecord) -> None:
        """Notes a trial that runs now; there is one a worker."""
        self.running[trial.number] = Running(trial)

    def advance(self, number: int, point: CurvePoint) -> None:
        """Notes an epoch of a running trial."""
        if number in self.running:
            self.running[number].advance(point)

    def finish(self, trial: TrialRecord) -> None:
        """Notes how a trial ended."""
        self._trials[trial.number] = trial
        self.running.pop(trial.number, None)

    def look(self, trials: Iterable[TrialRecord]) -> None:
        """Notes trials that other processes finished."""
        for trial in trials:
            if trial.is_finished:
                self._trials.setdefault(trial.number, trial)


class Running:
    """How far a running trial is."""

    def __init__(self, trial: TrialRecord) -> None:
        self.trial = trial
        self.epoch = 0
        self.accuracies: list[float] = []

    def advance(self, point: CurvePoint) -> None:
        """Notes one more epoch."""
        self.epoch = point.epoch
        if OBJECTIVE_METRIC in point.metrics:
            self.accuracies.append(point.metrics[OBJECTIVE_METRIC])

    def text(self, epochs: int) -> str:
        """The epoch and, once there is one, the accuracy."""
        text = f"epoch {self.epoch}/{epochs}"
        if self.accuracies:
            text += f", accuracy {self.accuracies[-1]:.4f}, best {max(self.accuracies):.4f}"
        return text


class PlainProgress(Progress):
    """One plain line a trial, for pipes and log files."""

    def __init__(self, console: Console, tally: Tally) -> None:
        self._console = console
        self._tally = tally

    def announce(self, line: str) -> None:
        """Prints the line."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def look(self, trials: Iterable[TrialRecord]) -> None:
        """Counts what others finished."""
        self._tally.look(trials)

    def trial_finished(self, trial: TrialRecord, towers: Path | None) -> None:
        """Prints how the trial ended, and how far the study is."""
        self._tally.finish(trial)
        best = self._tally.best
        so_far = f"{self._tally.finished}/{self._tally.target}"
        if best is not None:
            so_far += f", best {best.value:.4f} (trial {best.number})"
        self.announce(f"{trial_line(trial)}  [{so_far}]")


class LiveProgress(Progress):
    """A few lines that stay in place: the study, the running trials, the best so far."""

    def __init__(self, console: Console, tally: Tally) -> None:
        self._tally = tally
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Takes the view away: the summary follows."""
        self._live.stop()

    def announce(self, line: str) -> None:
        """Prints the line above the view."""
        self._live.console.print(line, markup=False, highlight=False)

    def look(self, trials: Iterable[TrialRecord]) -> None:
        """Counts what others finished."""
        self._tally.look(trials)

    def trial_started(self, trial: TrialRecord) -> None:
        """Shows the trial as a running one."""
        self._tally.start(trial)

    def epoch_finished(self, number: int, point: CurvePoint) -> None:
        """Shows the epoch and, where validated, the accuracy."""
        self._tally.advance(number, point)

    def trial_finished(self, trial: TrialRecord, towers: Path | None) -> None:
        """Counts the trial; one that did not finish says why."""
        self._tally.finish(trial)
        if not trial.is_finished:
            self.announce(trial_line(trial))

    def _render(self) -> RenderableType:
        return Group(self._overall(), self._details())

    def _overall(self) -> RenderableType:
        tally = self._tally
        grid = Table.grid(padding=(0, 2))
        grid.add_row(
            Text(f"{tally.finished} of {tally.target} trials", style="bold"),
            ProgressBar(total=max(tally.target, 1), completed=tally.finished, width=24),
            f"{tally.count('pruned')} pruned, {tally.count('failed')} failed",
            _time_left(tally.seconds_left()),
        )
        return grid

    def _details(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        # Copied: the view is drawn by a thread of its own.
        for number, running in sorted(self._tally.running.copy().items()):
            text = running.text(self._tally.epochs)
            grid.add_row(f"trial {number}", configuration_text(running.trial), text)
        best = self._tally.best
        if best is not None:
            accuracy = f"accuracy {best.value:.4f}, epoch {best.best_epoch}"
            name = f"best: trial {best.number}"
            grid.add_row(name, configuration_text(best), accuracy, style="green")
        return grid


def configuration_text(trial: TrialRecord) -> str:
    """The configuration of a trial in a few words: layers, embedding, learning rate."""
    parameters = trial.parameters
    words = [trial.layer_sizes]
    if "embedding_dimension" in parameters:
        words.append(f"embedding {parameters['embedding_dimension']}")
    if "learning_rate" in parameters:
        words.append(f"learning rate {parameters['learning_rate']:.3g}")
    return ", ".join(word for word in words if word)


def trial_line(trial: TrialRecord) -> str:
    """A trial that is over, in one plain line."""
    results = {
        "complete": f"accuracy {_accuracy(trial)} at epoch {trial.best_epoch}",
        "pruned": f"accuracy {_accuracy(trial)} when pruned at epoch {trial.pruned_at_epoch}",
    }
    result = results.get(trial.state, trial.reason or "no reason recorded")
    seconds = "" if trial.train_seconds is None else f"  {trial.train_seconds:.1f} s"
    return f"trial {trial.number} {trial.state}: {result}  {configuration_text(trial)}{seconds}"


def _accuracy(trial: TrialRecord) -> str:
    return "unknown" if trial.value is None else f"{trial.value:.4f}"


def _time_left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{timedelta(seconds=round(seconds))} left"
