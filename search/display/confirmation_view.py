"""A running confirmation: a live view in a terminal, a line a training elsewhere."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from search.analysis.noise import Sample
from search.display import parts
from search.display.tally import Clock, ConfirmationTally, RunningSeed
from search.display.terminal import Screen

LEAST_ROWS = 9
CURVE = 12
_COLUMNS = (
    parts.Column(name="contender", width=31, rank=0, right=False),
    parts.Column(name="epochs", width=6, rank=3),
    parts.Column(name="seeds", width=7, rank=1),
    parts.Column(name="mean over seeds", width=15, rank=2, right=False),
)


class ConfirmationProgress:
    """Hears of every training, in this order: begun, its epochs, its result.

    Of a result that was kept, it hears the result alone.

    ``epochs`` are those of each contender by name, in the order in which they are trained;
    ``measure`` is what people call the objective. A contender that is ``tested`` alone is not
    validated.
    """

    def __init__(
        self,
        screen: Screen,
        epochs: Mapping[str, int],
        seeds: int,
        *,
        name: str,
        measure: str = "accuracy",
        tested: str | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._screen = screen
        self._measure = measure
        self._tally = ConfirmationTally(epochs, seeds, tested=tested, clock=clock)
        self._view = ConfirmationView(self._tally, name=name, measure=measure)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Entered for as long as there are trainings."""
        with self._screen.showing(self._view):
            yield

    def started(self, name: str, seed: int, purpose: str) -> None:
        """A contender's training with its seed of that number, from 0, begins.

        ``purpose`` says the rows it is trained on, and what for.
        """
        self._tally.start(name, seed, purpose)

    def advanced(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """One more epoch is trained."""
        if self._tally.current is not None:
            self._tally.current.advance(epoch, metrics)

    def finished(self, name: str, accuracy: float | None, *, is_test: bool) -> None:
        """A contender's result is known and kept; None if the training collapsed."""
        training = self._tally.current
        seconds = training.seconds if training else 0.0
        self._tally.finish(name, accuracy, is_test=is_test)
        if training is not None:
            result = "collapsed" if accuracy is None else f"{self._measure} {accuracy:.4f}"
            self._say(training, f": {result}  {seconds:.1f} s")

    def made_again(self) -> None:
        """A training is over that gives no new result, but towers that were lost."""
        training, self._tally.current = self._tally.current, None
        if training is not None:
            self._say(training)

    def say(self, line: str) -> None:
        """What takes long between two trainings."""
        self._screen.announce(line)

    def warn(self, line: str) -> None:
        """What a person should know or do."""
        self._screen.warn(line)

    def _say(self, training: RunningSeed, result: str = "") -> None:
        """One line a training, where no view shows it."""
        if not self._screen.is_live:
            self._screen.announce(
                f"training {training.name} with seed {training.seed + 1} for {training.epochs} "
                f"epochs: {training.purpose}{result}"
            )


class ConfirmationView:
    """Drawn anew, as often as it is shown, from the tally of a confirmation."""

    def __init__(self, tally: ConfirmationTally, *, name: str, measure: str = "accuracy") -> None:
        self._tally = tally
        self._name = name
        self._measure = measure

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        tally, width, height = self._tally, options.max_width, options.size.height
        left = parts.time_left(tally.seconds_left())
        yield parts.overall(self._name, "trainings", tally.done, tally.target, left, width)
        current = tally.current
        if current is None:
            yield from (parts.one_line("between two trainings", width), Text(""))
        else:
            seed = f"seed {current.seed + 1} of {tally.seeds}"
            yield parts.one_line(f"{current.name}, {seed}: {current.purpose}", width)
            words = self._epoch(current, ascii_only=options.ascii_only)
            yield parts.one_line(words, width, "" if current.epoch else "dim")
        if height >= LEAST_ROWS:
            yield ""
            yield self._means(width, height - 6)

    def _epoch(self, current: RunningSeed, *, ascii_only: bool) -> str:
        seconds = parts.short_clock(current.seconds)
        if current.epoch == 0:
            return f"compiles  {seconds}"
        words = [f"epoch {current.epoch}/{current.epochs}", seconds]
        if current.losses:
            curve = parts.sparkline(current.losses, CURVE, ascii_only=ascii_only)
            words.append(f"train loss {current.losses[-1]:.4f}  {curve}")
        if current.accuracies:
            words.append(f"{self._measure} {current.accuracies[-1]:.4f}")
        return "  ".join(words)

    def _means(self, width: int, most: int) -> Table:
        """A row for each contender, the best on average in green; then the tests."""
        tally, ahead = self._tally, self._tally.ahead
        table = parts.LiveTable(_COLUMNS, width)
        table.head()
        for name in list(tally.validated)[:most]:
            cells = {"contender": name, "epochs": str(tally.epochs[name])}
            cells |= self._so_far(tally.validated[name])
            table.add(cells, style="green" if name == ahead else "")
        if tally.tested:
            cells = {"contender": f"test of {ahead}"} | self._so_far(tally.tested)
            table.add(cells, style="green")
        return table.grid

    def _so_far(self, values: list[float | None]) -> dict[str, str]:
        seeds = f"{len(values)}/{self._tally.seeds}"
        return {"seeds": seeds, "mean over seeds": str(Sample.of(values)) if values else ""}
