"""Columns that are left out where there is no room."""

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from search.display.parts import Column, add_row, fitting, table_of
from tests.unit.search.terminals import drawn

COLUMNS = [
    Column(name="trial", width=5, rank=0),
    Column(name="layers", width=10, rank=2, right=False),
    Column(name="epoch", width=5, rank=1),
]


def test_the_highest_rank_goes_first_and_the_lowest_stays() -> None:
    def named(width: int) -> list[str]:
        return [column.name for column in fitting(COLUMNS, width)]

    assert named(24) == ["trial", "layers", "epoch"]
    assert named(23) == ["trial", "epoch"]
    assert named(12) == ["trial", "epoch"]
    assert named(11) == ["trial"]
    assert named(1) == ["trial"]


@given(st.integers(1, 40), st.text(alphabet="ab 世[/]", max_size=30))
def test_a_row_is_one_line_whatever_its_cells(width: int, text: str) -> None:
    columns = fitting(COLUMNS, width)
    table = table_of(columns)
    add_row(table, columns, {"trial": "12", "layers": text, "epoch": Text("3/30")})
    assert len(drawn(table, width)) == 1


def test_numbers_stand_at_the_right() -> None:
    table = table_of(COLUMNS)
    add_row(table, COLUMNS, {"trial": "7", "layers": "(64,)", "epoch": "3/30"})
    assert drawn(table) == ["    7  (64,)        3/30"]
