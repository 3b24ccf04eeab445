"""A curve in a few characters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


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


GAP = 2
"""Spaces between two columns."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a live table. Its width is fixed, so that nothing moves while numbers change.

    Attributes:
        name: its header, and the key of its cells.
        width: in characters.
        rank: 0 for what always stays; where there is no room, the highest goes first.
        right: whether cells stand at the right.
    """

    name: str
    width: int
    rank: int
    right: bool = True


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that fit into so many characters, in their order."""
    kept = list(columns)
    while _width(kept) > width and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    return kept


def table_of(columns: Sequence[Column]) -> Table:
    """An empty table of these columns, to which :func:`add_row` adds rows."""
    table = Table.grid(padding=(0, GAP, 0, 0))
    for column in columns:
        table.add_column(
            width=column.width,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if column.right else "left",
        )
    return table


def add_row(
    table: Table, columns: Sequence[Column], cells: Mapping[str, str | Text], style: str = ""
) -> None:
    """Adds the cells for which there are columns."""
    shown = (cells.get(column.name, "") for column in columns)
    table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in shown), style=style)


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


LEAST_BAR = 8
MOST_BAR = 60


def overall(name: str, what: str, done: int, target: int, left: str, width: int) -> RenderableType:
    """One line, with as much of it as fits: the numbers stay, then the time, the bar, the name.

    Args:
        name: of the study.
        what: is counted, such as ``trials``.
        done: how many are done.
        target: of how many.
        left: the time left, in words.
        width: of the line.
    """
    words = f"{done:>{len(str(target))}} of {target} {what}"
    if len(name) + len(words) + len(left) + 2 * GAP + LEAST_BAR + GAP <= width:
        words = f"{name}  {words}"
    if len(words) + GAP + len(left) > width:
        left = ""
    room = width - len(words) - GAP - (len(left) + GAP if left else 0)
    cells: list[RenderableType] = [Text(words, style="bold")]
    if room >= LEAST_BAR:
        bar = ProgressBar(
            total=max(target, 1),
            completed=done,
            width=min(room, MOST_BAR),
            complete_style="cyan",
        )
        cells.append(bar)
    if left:
        cells.append(Text(left))
    grid = Table.grid(padding=(0, GAP, 0, 0))
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(*cells)
    return grid


BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-~=+*#"


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """The values as bars, from the lowest of them to the highest.

    Args:
        values: finite numbers, in order.
        width: the most characters; of more values, each character shows the last of its share.
        ascii_only: for terminals that know no more.
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
