"""Tables whose rows never wrap: where there is no room, columns are left out, the least first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

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
