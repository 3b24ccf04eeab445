"""A running confirmation in a terminal: the trainings, the one that runs, the means so far."""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from search.columns import Column, add_row, fitting, table_of
from search.durations import short_clock, time_left
from search.noise import Sample
from search.overall import overall
from search.sparkline import sparkline
from search.training_tally import Training, TrainingTally

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
