"""What live views are made of: durations, tables, bars, curves; all fit the width that there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.records.trials import TrialRecord, rate_text

GAP = 2  # spaces between two columns

LEAST_BAR, MOST_BAR = 8, 60
BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-~=+*#"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds, such as ``1:02:03``."""
    return str(timedelta(seconds=max(round(seconds), 0)))


def short_clock(seconds: float) -> str:
    """The same in five characters while it is less than an hour: ``42 s``, ``2:03``."""
    if round(seconds) < 60:
        return f"{max(round(seconds), 0)} s"
    return clock(seconds).removeprefix("0:").removeprefix("0")


def time_left(seconds: float | None, *, is_measured: bool = True) -> str:
    """An estimate in words, of about the same length whether it is known or not."""
    if seconds is None:
        return "-:--:-- left"
    return f"{'' if is_measured else 'about '}{clock(seconds)} left"


def one_line(words: str, width: int, style: str = "") -> Text:
    """Words, cut where the line ends."""
    line = Text(words, style=style)
    line.truncate(max(width, 1), overflow="ellipsis")
    return line


def configuration_cells(trial: TrialRecord) -> dict[str, str]:
    """What a trial tries, in the short forms of a table."""
    count, rate = (
        trial.derived.get("parameter_count"),
        trial.parameters.get("learning_rate"),
    )
    return {
        "layers": trial.layer_sizes,
        "embed": str(trial.parameters.get("embedding_dimension", "")),
        "rate": rate_text(None if isinstance(rate, str) else rate),
        "weights": "" if count is None else f"{count:,}",
    }


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a live table. Its width is fixed, so that nothing moves while numbers change."""

    name: str  # its header, and the key of its cells
    width: int
    rank: int  # 0 for what always stays; where there is no room, the highest goes first
    right: bool = True  # whether cells stand at the right


class LiveTable:
    """A table of the columns that fit."""

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        kept = list(columns)
        while _width(kept) > width and any(column.rank for column in kept):
            kept.remove(max(kept, key=lambda column: column.rank))
        self.columns = {column.name: column for column in kept}  # those that fit, by their names
        self.grid = Table.grid(padding=(0, GAP, 0, 0))  # what is drawn
        for column in kept:
            self.grid.add_column(
                width=column.width,
                no_wrap=True,
                overflow="ellipsis",
                justify="right" if column.right else "left",
            )

    def add(self, cells: Mapping[str, str | Text], style: str = "") -> None:
        """Adds a row, of those cells for which there is a column."""
        shown = (cells.get(name, "") for name in self.columns)
        self.grid.add_row(
            *(Text(cell) if isinstance(cell, str) else cell for cell in shown), style=style
        )

    def head(self, **instead: str) -> None:
        """Adds the names of the columns, or other words instead of some."""
        self.add({name: name for name in self.columns} | instead, style="bold")


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def overall(name: str, what: str, done: int, target: int, left: str, width: int) -> RenderableType:
    """One line, with as much of it as fits: the numbers stay, then the time, the bar, the name."""
    words = f"{done:>{len(str(target))}} of {target} {what}"
    if len(name) + len(words) + len(left) + 2 * GAP + LEAST_BAR + GAP <= width:
        words = f"{name}  {words}"
    if len(words) + GAP + len(left) > width:
        left = ""
    room = width - len(words) - GAP - (len(left) + GAP if left else 0)
    cells: list[RenderableType] = [Text(words, style="bold")]
    if room >= LEAST_BAR:
        bar_width = min(room, MOST_BAR)
        cells.append(ProgressBar(max(target, 1), done, width=bar_width, complete_style="cyan"))
    if left:
        cells.append(Text(left))
    grid = Table.grid(padding=(0, GAP, 0, 0))
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(*cells)
    return grid


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """The values as bars, from the lowest of them to the highest.

    The values are finite. Of more than ``width`` values, each character shows the last of its
    share.
    """
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    shown = [values[(place + 1) * len(values) // count - 1] for place in range(count)]
    bars = ASCII_BARS if ascii_only else BARS
    low, high = min(shown), max(shown)
    if low == high:  # a single point, or a flat line: neither low nor high
        return bars[len(bars) // 2] * count
    steps = len(bars) - 1
    return "".join(bars[round((value - low) / (high - low) * steps)] for value in shown)
