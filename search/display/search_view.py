"""What a running search looks like: from 20 to 200 columns, and with as many rows as there are."""

from collections.abc import Mapping, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from search.display.parts import (
    Column,
    add_row,
    clock,
    fitting,
    overall,
    short_clock,
    sparkline,
    table_of,
    time_left,
)
from search.display.tally import Running, Slot, Tally
from search.records.trials import OBJECTIVE_METRIC, TrialRecord, further_words, rate_text

BEST = "green"
QUIET = "dim"
_IN_SHORT = {"pruned": "pruned", "diverged": "div.", "failed": "failed", "interrupted": "cut"}


class SearchView:
    """Drawn anew, as often as it is shown, from the tally of a search.

    Args:
        tally: of the search.
        name: of the study.
        places: where things are written, by what they are.
    """

    def __init__(self, tally: Tally, *, name: str, places: Mapping[str, str]) -> None:
        self._tally = tally
        self._name = name
        self._places = places

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.size.height
        columns = fitting(_columns(width), width)
        rows = _Rows(columns, self._tally, ascii_only=options.ascii_only)
        # What is least needed goes first where there are few rows: places, the latest, workers.
        room = height - 1 - 2
        if height >= 20:  # apart from the lines above
            yield ""
            room -= 1
        places = self._where() if room >= 3 + self._tally.workers + 4 + len(self._places) else None
        room -= len(self._places) + 1 if places else 0
        finished, target = self._tally.finished, self._tally.target
        yield overall(self._name, "trials", finished, target, self._left(), width)
        yield _one_line(self._counts(), width)
        yield from self._table(rows, room, width)
        if places is not None:
            yield ""
            yield places

    def _table(self, rows: "_Rows", room: int, width: int) -> RenderResult:
        """Workers, the best, the latest: in no more than so many rows."""
        best = self._tally.best
        needed_by_best = 0 if best is None else 2 + bool(further_words(best))
        if room >= 4:
            yield ""
            room -= 1
        rows.head("running")
        slots = self._tally.slots
        most = max(room - 1 - needed_by_best, 1)
        rows.workers(slots, most)
        room -= 1 + min(len(slots), most)
        if best is not None and room >= needed_by_best:
            rows.best(best)
            room -= needed_by_best
        latest = [trial for trial in self._tally.latest if trial is not best]
        if latest and room >= 2 + 1:
            rows.latest(latest[: min(room - 1, 15) if room > 12 else min(room - 1, 5)])
        yield rows.table
        if best is not None and needed_by_best == 3:
            yield _one_line(Text(f"best also: {further_words(best)}", style=BEST), width)

    def _left(self) -> str:
        left = self._tally.time_left()
        return (
            time_left(None)
            if left is None
            else time_left(left.seconds, is_measured=left.is_measured)
        )

    def _counts(self) -> Text:
        tally = self._tally
        words = [
            f"{tally.count('complete')} complete",
            f"{tally.count('pruned')} pruned",
            f"{tally.count('failed')} failed",
        ]
        if cut := tally.count("interrupted"):
            words.append(f"{cut} interrupted")
        text = ", ".join(words) + f"; {tally.running_here} running"
        if elsewhere := tally.running_elsewhere:
            text += f", {elsewhere} elsewhere"
        return Text(f"{text}; {clock(tally.seconds)} so far", style=QUIET)

    def _where(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        for what, place in self._places.items():
            grid.add_row(Text(what), Text(place), style=QUIET)
        return grid


class _Rows:
    """The rows of the table: running trials, the best, those that ended last."""

    def __init__(self, columns: Sequence[Column], tally: Tally, *, ascii_only: bool) -> None:
        self.table = table_of(columns)
        self._columns = columns
        self._tally = tally
        self._ascii = ascii_only
        self._curve = next((each.width for each in columns if each.name == "curve"), 0)

    def head(self, name: str) -> None:
        headers = {each.name: each.name for each in self._columns} | {"trial": name}
        add_row(self.table, self._columns, headers, style="bold")

    def workers(self, slots: Sequence[Slot], most: int) -> None:
        """A row for each worker; where there are more than rows, the last one says how many."""
        shown = slots if len(slots) <= most else slots[: most - 1]
        for slot in shown:
            if slot.running is None:
                cells = {"trial": "-", "layers": self._idle(slot)}
                add_row(self.table, self._columns, cells, style=QUIET)
            else:
                add_row(self.table, self._columns, self._running(slot.running))
        if hidden := len(slots) - len(shown):
            cells = {"trial": "...", "layers": f"and {hidden} more"}
            add_row(self.table, self._columns, cells, style=QUIET)

    def best(self, trial: TrialRecord) -> None:
        add_row(self.table, self._columns, {"trial": "best"}, style="bold")
        add_row(self.table, self._columns, self._ended(trial), style=BEST)

    def latest(self, trials: Sequence[TrialRecord]) -> None:
        add_row(self.table, self._columns, {"trial": "latest"}, style="bold")
        for trial in trials:
            add_row(self.table, self._columns, self._ended(trial), style=QUIET)

    def _idle(self, slot: Slot) -> str:
        tally = self._tally
        if tally.finished + tally.running_here + tally.running_elsewhere >= tally.target:
            return "no trial is left"
        return "waits for a trial" if slot.had_one else "starts"

    def _running(self, running: Running) -> dict[str, str | Text]:
        accuracies = running.accuracies
        return {
            **_configured(running.trial),
            "epoch": f"{running.epoch}/{self._tally.epochs}",
            "now": f"{accuracies[-1]:.4f}" if accuracies else "",
            "best": f"{max(accuracies):.4f}" if accuracies else "",
            "curve": self._line(accuracies) if running.epoch else Text("compiles", style=QUIET),
            "loss": "" if running.loss is None else _loss(running.loss),
            "time": short_clock(self._tally.seconds_of(running)),
        }

    def _ended(self, trial: TrialRecord) -> dict[str, str | Text]:
        points = [point.metrics for point in trial.curve]
        accuracies = [each[OBJECTIVE_METRIC] for each in points if OBJECTIVE_METRIC in each]
        losses = [each["train_loss"] for each in points if "train_loss" in each]
        epoch = trial.curve[-1].epoch if trial.curve else trial.best_epoch or 0
        return {
            **_configured(trial),
            "epoch": f"{epoch}/{self._tally.epochs}",
            "now": _IN_SHORT.get(trial.state, ""),
            "best": "" if trial.value is None else f"{trial.value:.4f}",
            "curve": self._line(accuracies),
            "loss": _loss(losses[-1]) if losses else "",
            "time": "" if trial.train_seconds is None else short_clock(trial.train_seconds),
        }

    def _line(self, values: Sequence[float]) -> str:
        return sparkline(values, self._curve, ascii_only=self._ascii)


def _columns(width: int) -> list[Column]:
    """All columns; those of the highest rank are left out where there is no room."""
    return [
        Column(name="trial", width=7, rank=0),
        Column(name="layers", width=20, rank=4, right=False),
        Column(name="embed", width=5, rank=5),
        Column(name="rate", width=7, rank=6),
        Column(name="weights", width=9, rank=8),
        Column(name="epoch", width=7, rank=1),
        Column(name="now", width=6, rank=3),
        Column(name="best", width=6, rank=2),
        Column(name="curve", width=30 if width >= 140 else 8, rank=7, right=False),
        Column(name="loss", width=7, rank=9),
        Column(name="time", width=5, rank=10),
        Column(name="from the study file", width=24, rank=11, right=False),
    ]


def _loss(loss: float) -> str:
    """A loss in at most seven characters: one that explodes is shown as a power of ten."""
    return f"{loss:.4f}" if loss < 10 else f"{loss:.1e}"


def _configured(trial: TrialRecord) -> dict[str, str | Text]:
    count = trial.derived.get("parameter_count")
    return {
        "trial": str(trial.number),
        "layers": trial.layer_sizes,
        "embed": str(trial.parameters.get("embedding_dimension", "")),
        "rate": rate_text(trial.parameters.get("learning_rate")),
        "weights": "" if count is None else f"{count:,}",
        "from the study file": trial.reference or "",
    }


def _one_line(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    return text
