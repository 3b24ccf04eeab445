"""The first line of every view: what, how many of how many, a bar, the time left."""

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.columns import GAP

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
