"""What a search shows: its trials while they run; at its end the best ones, and what it means."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from search.analysis.noise import Estimate
from search.analysis.verdict import Leader, verdict
from search.config.addresses import NextCommands
from search.display import parts
from search.display.parts import configuration_cells
from search.display.tally import RunningTrial, SearchTally
from search.display.terminal import Screen
from search.records.events import TrialEvent, TrialFinished
from search.records.trials import (
    TUTORIAL_OBJECTIVE,
    TrialRecord,
    all_reached,
    front_of,
    further_words,
    objective_of,
    objective_words,
    ranked,
    trial_line,
)

BEST, QUIET = "green", "dim"
_IN_SHORT = {"pruned": "pruned", "diverged": "div.", "failed": "failed", "interrupted": "cut"}


class SearchProgress:
    """Shows a search; nothing where the command is quiet.

    ``places`` says where things are written, by what they are, without secrets.
    """

    def __init__(
        self, screen: Screen, tally: SearchTally, *, name: str, places: Mapping[str, str]
    ) -> None:
        self._screen = screen
        self._tally = tally
        self._view = SearchView(tally, name=name, places=places)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Entered for as long as the trials run."""
        with self._screen.showing(self._view):
            yield

    def look(self, trials: Iterable[TrialRecord]) -> None:
        """Counts what other processes finished, and what they run."""
        self._tally.look(trials)

    def hear(self, event: TrialEvent) -> None:
        """Takes in what happens; a trial that ends has a line where no view shows its result."""
        self._tally.hear(event)
        if not isinstance(event, TrialFinished):
            return
        line = trial_line(event.trial)
        if not self._screen.is_live:
            self._screen.announce(f"{line}  [{self._so_far()}]")
        elif not event.trial.is_finished:
            self._screen.announce(line)

    def _so_far(self) -> str:
        best = self._tally.best
        so_far = f"{self._tally.finished}/{self._tally.target}"
        return so_far if best is None else f"{so_far}, best {best.value:.4f} (trial {best.number})"


class SearchView:
    """Drawn anew, as often as it is shown, from the tally of a search.

    Where there are few rows, what is least needed goes first: places, the latest, workers.
    """

    def __init__(self, tally: SearchTally, *, name: str, places: Mapping[str, str]) -> None:
        self._tally = tally
        self._name = name
        self._places = places

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        tally, width = self._tally, options.max_width
        room = options.size.height - 1 - 2
        if options.size.height >= 20:  # apart from the lines above
            yield ""
            room -= 1
        has_places = room >= 3 + tally.workers + 4 + len(self._places)
        room -= len(self._places) + 1 if has_places else 0
        left = parts.time_left(tally.seconds_left(), is_measured=tally.is_measured)
        yield parts.overall(self._name, "trials", tally.finished, tally.target, left, width)
        yield parts.one_line(self._counts(), width, QUIET)
        if room >= 4:
            yield ""
            room -= 1
        yield self._table(room, width, ascii_only=options.ascii_only)
        if further := self._further():
            yield parts.one_line(f"best also: {further}", width, BEST)
        if has_places:
            yield ""
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(no_wrap=True)
            grid.add_column(no_wrap=True, overflow="ellipsis")
            for what, place in self._places.items():
                grid.add_row(Text(what), Text(place), style=QUIET)
            yield grid

    def _counts(self) -> str:
        tally = self._tally
        words = [f"{tally.count(state)} {state}" for state in ("complete", "pruned", "failed")]
        if cut := tally.count("interrupted"):
            words.append(f"{cut} interrupted")
        if over := sum(bool(trial.infeasible) for trial in tally.trials if trial.is_finished):
            words.append(f"{over} infeasible")
        text = f"{', '.join(words)}; {len(tally.running)} running"
        if elsewhere := tally.running_elsewhere:
            text += f", {elsewhere} elsewhere"
        return f"{text}; {parts.clock(tally.seconds)} so far"

    def _further(self) -> str:
        best = self._tally.best
        return "" if best is None else further_words(best)

    def _table(self, room: int, width: int, *, ascii_only: bool) -> Table:
        """Workers, the best, the latest: in no more than so many rows."""
        tally, best, slots = self._tally, self._tally.best, self._tally.slots
        rows = _Rows(width, tally, ascii_only=ascii_only)
        needed_by_best = 0 if best is None else 2 + bool(self._further())
        rows.table.head(trial="running")
        most = max(room - 1 - needed_by_best, 1)
        rows.workers(slots, most)
        room -= 1 + min(len(slots), most)
        if best is not None and room >= needed_by_best:
            rows.ended("best", [best], BEST)
            room -= needed_by_best
        latest = [trial for trial in tally.latest if trial is not best]
        if latest and room >= 2 + 1:
            rows.ended("latest", latest[: min(room - 1, 15 if room > 12 else 5)], QUIET)
        return rows.table.grid


class _Rows:
    """The rows of the table: running trials, the best, those that ended last."""

    def __init__(self, width: int, tally: SearchTally, *, ascii_only: bool) -> None:
        self.table = parts.LiveTable(_columns(width), width)
        self._tally = tally
        self._ascii = ascii_only

    def workers(self, slots: Sequence[RunningTrial | str], most: int) -> None:
        """A row for each worker; where there are more than rows, the last one says how many."""
        shown = slots if len(slots) <= most else slots[: most - 1]
        running = len(self._tally.running) + self._tally.running_elsewhere
        is_over = self._tally.finished + running >= self._tally.target
        for slot in shown:
            if isinstance(slot, RunningTrial):
                self.table.add(self._running(slot))
            else:
                words = "no trial is left" if is_over else slot
                self.table.add({"trial": "-", "layers": words}, style=QUIET)
        if hidden := len(slots) - len(shown):
            self.table.add({"trial": "...", "layers": f"and {hidden} more"}, style=QUIET)

    def ended(self, title: str, trials: Sequence[TrialRecord], style: str) -> None:
        """A row for each trial, below a title."""
        self.table.add({"trial": title}, style="bold")
        for trial in trials:
            self.table.add(self._ended(trial), style=style)

    def _running(self, running: RunningTrial) -> dict[str, str | Text]:
        accuracies = running.accuracies
        return {
            **_configured(running.trial),
            "epoch": f"{running.epoch}/{running.epochs}",
            "now": f"{accuracies[-1]:.4f}" if accuracies else "",
            "best": f"{max(accuracies):.4f}" if accuracies else "",
            "curve": self._curve(accuracies) if running.epoch else Text("compiles", style=QUIET),
            "loss": _loss(running.losses),
            "time": parts.short_clock(running.seconds),
        }

    def _ended(self, trial: TrialRecord) -> dict[str, str | Text]:
        points = [point.metrics for point in trial.curve]
        epoch = trial.curve[-1].epoch if trial.curve else trial.best_epoch or 0
        return {
            **_configured(trial),
            "epoch": f"{epoch}/{self._tally.epochs}",
            "now": "limit" if trial.infeasible else _IN_SHORT.get(trial.state, ""),
            "best": "" if trial.value is None else f"{trial.value:.4f}",
            "curve": self._curve([v for v in map(objective_of, points) if v is not None]),
            "loss": _loss([p["train_loss"] for p in points if "train_loss" in p]),
            "time": "" if trial.train_seconds is None else parts.short_clock(trial.train_seconds),
        }

    def _curve(self, values: Sequence[float]) -> str:
        column = self.table.columns.get("curve")
        return parts.sparkline(values, column.width if column else 0, ascii_only=self._ascii)


def _columns(width: int) -> list[parts.Column]:
    """All columns; those of the highest rank are left out where there is no room."""
    return [
        parts.Column(name="trial", width=7, rank=0),
        parts.Column(name="layers", width=20, rank=4, right=False),
        parts.Column(name="embed", width=5, rank=5),
        parts.Column(name="rate", width=7, rank=6),
        parts.Column(name="weights", width=9, rank=8),
        parts.Column(name="epoch", width=7, rank=1),
        parts.Column(name="now", width=6, rank=3),
        parts.Column(name="best", width=6, rank=2),
        parts.Column(name="curve", width=30 if width >= 140 else 8, rank=7, right=False),
        parts.Column(name="loss", width=7, rank=9),
        parts.Column(name="time", width=5, rank=10),
        parts.Column(name="from the study file", width=24, rank=11, right=False),
    ]


def _loss(losses: Sequence[float]) -> str:
    """The last loss in at most seven characters: a large one is shown as a power of ten."""
    if not losses:
        return ""
    return f"{losses[-1]:.4f}" if losses[-1] < 10 else f"{losses[-1]:.1e}"


def _configured(trial: TrialRecord) -> dict[str, str]:
    name = {"trial": str(trial.number), "from the study file": trial.reference or ""}
    return name | parts.configuration_cells(trial)


TOP = 4
TOP_OF_FRONT = 10  # where there are several objectives; the report has all

HARDEST = 3  # of the references so many are rows; the verdict names all

CAUTIONS = 2  # so many are shown; the report has them all, and a screen has few lines


def print_summary(
    screen: Screen,
    trials: Sequence[TrialRecord],
    *,
    references: Mapping[str, Estimate],
    commands: NextCommands,
    cautions: Sequence[str] = (),
    leader: Leader | None = None,
    objectives: Sequence[str] = (TUTORIAL_OBJECTIVE,),
    saved: str = "",
    lost: Sequence[str] = (),
) -> None:
    """Prints the best trials as a table, the verdict in words, and the next commands.

    References are validation results by name; empty where they were not measured. ``saved`` is
    a sentence on what ending trials early has saved, or nothing; ``lost`` says what the split
    loses.
    """
    has_best = bool(ranked(trials))
    if has_best:
        screen.show("")
        screen.print(leaderboard(trials, references, objectives))
        if not cautions:  # with them there is no room on one screen
            screen.show("")
    for line in verdict(trials, references, leader, objectives=objectives):
        screen.print(Text(line))
    if saved:
        screen.show(saved)
    for line in lost:
        screen.print(Text(line))
    for caution in cautions[:CAUTIONS]:
        screen.print(Text(f"careful: {caution}", style="yellow"))
    if len(cautions) > CAUTIONS:
        more = f"careful: {len(cautions) - CAUTIONS} more in the report"
        screen.print(Text(more, style="yellow"))
    if not cautions:
        screen.show("")
    steps = {"report": commands.report, "compare": commands.compare, "search on": commands.more}
    if has_best:
        steps = {"re-train": commands.retrain} | steps
    for purpose, command in steps.items():
        screen.show(f"{purpose + ':':<10} {command}")


def leaderboard(
    trials: Sequence[TrialRecord],
    references: Mapping[str, Estimate],
    objectives: Sequence[str] = (TUTORIAL_OBJECTIVE,),
) -> Table:
    """The best complete trials, the best enqueued configuration, and the best references.

    Of several objectives the best trials are those of the Pareto front. A row is a line in a
    terminal of 80 columns: what is too long for its column is cut.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("trial", max_width=14, no_wrap=True, overflow="ellipsis")
    table.add_column("layers", max_width=20, no_wrap=True, overflow="ellipsis")
    for header in ("embed", "rate", "weights"):
        table.add_column(header, justify="right", no_wrap=True)
    further = [name for name in objectives[1:] if name != "parameters"]  # a column of every table
    for name in (objectives[0], *further):
        table.add_column(objective_words(name), justify="right", no_wrap=True, style="bold")
    table.add_column("epoch", justify="right", no_wrap=True)
    best = ranked(trials)
    shown = best[:TOP] if len(objectives) == 1 else front_of(trials, objectives)[:TOP_OF_FRONT]
    enqueued = [trial for trial in best if trial.reference][:1]
    for trial in [*shown, *(each for each in enqueued if each not in shown)]:
        table.add_row(*_row(trial, further), style="green" if trial is best[0] else None)
    hardest = sorted(references.items(), key=lambda pair: -pair[1].mean)[:HARDEST]
    for name, each in hardest:
        table.add_row(name, "", "", "", "", f"{each.mean:.4f}")
    return table


def _row(trial: TrialRecord, further: Sequence[str]) -> tuple[str | Text, ...]:
    cells = configuration_cells(trial).values()
    reached = all_reached(trial, further).values()
    return _name(trial), *cells, f"{trial.value:.4f}", *reached, str(trial.best_epoch)


def _name(trial: TrialRecord) -> Text:
    """The number, and what the study file calls it, without the layers of the next column."""
    name = f"{trial.number} ({trial.origin})" if trial.origin else str(trial.number)
    return Text(name)  # as it is: a name in a file may hold what Rich takes for markup
