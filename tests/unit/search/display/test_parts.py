"""Durations, tables, bars and curves of the live views."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from search.display.parts import (
    ASCII_BARS,
    BARS,
    Column,
    LiveTable,
    clock,
    overall,
    short_clock,
    sparkline,
    time_left,
)
from tests.unit.search.terminals import drawn

COLUMNS = [
    Column(name="trial", width=5, rank=0),
    Column(name="layers", width=10, rank=2, right=False),
    Column(name="epoch", width=5, rank=1),
]


def test_a_duration_has_hours_if_it_is_not_short() -> None:
    for seconds, long, short in (
        *((-1, "0:00:00", "0 s"), (7.4, "0:00:07", "7 s"), (59.6, "0:01:00", "1:00")),
        *((754, "0:12:34", "12:34"), (7384, "2:03:04", "2:03:04")),
    ):
        assert (clock(seconds), short_clock(seconds)) == (long, short)


def test_estimates_may_be_rough_and_curves_ascii() -> None:
    assert time_left(None) == "-:--:-- left"
    assert time_left(65) == "0:01:05 left"
    assert time_left(65, is_measured=False) == "about 0:01:05 left"
    assert sparkline([0.1, 0.8], 8, ascii_only=True) == ASCII_BARS[0] + ASCII_BARS[-1]


def test_the_column_of_the_highest_rank_goes_first() -> None:
    shown = {
        24: "trial layers epoch",
        23: "trial epoch",
        12: "trial epoch",
        11: "trial",
        1: "trial",
    }
    assert {width: " ".join(LiveTable(COLUMNS, width).columns) for width in shown} == shown


@given(st.integers(1, 40), st.text(alphabet="ab 世[/]", max_size=30))
def test_a_row_is_one_line_whatever_its_cells(width: int, text: str) -> None:
    table = LiveTable(COLUMNS, width)
    table.add({"trial": "12", "layers": text, "epoch": Text("3/30")})
    assert len(drawn(table.grid, width)) == 1


def test_numbers_stand_at_the_right_below_their_header() -> None:
    table = LiveTable(COLUMNS, 80)
    table.head(trial="best")
    table.add({"trial": "7", "layers": "(64,)", "epoch": "3/30"})
    assert drawn(table.grid) == [" best  layers      epoch", "    7  (64,)        3/30"]


def first_line(width: int, *, done: int = 3) -> str:
    [only] = drawn(overall("name", "trials", done, 50, "0:01:00 left", width), width)
    return only


def test_the_first_line_fills_the_width_and_its_bar_does_not_move_or_grow_for_ever() -> None:
    assert first_line(80).startswith("name   3 of 50 trials  ━")
    assert first_line(80).endswith("  0:01:00 left")
    assert cell_len(first_line(80)) == 80
    assert first_line(80, done=9).index("━") == first_line(80, done=10).index("━")
    assert cell_len(first_line(200)) < 110


@pytest.mark.parametrize(
    ("width", "shown"),
    [(44, "0:01:00 left"), (30, "0:01:00 left"), (20, " 3 of 50 trials"), (10, " 3 of 50 …")],
)
def test_where_there_is_less_room_the_numbers_stay(width: int, shown: str) -> None:
    assert shown in first_line(width)
    assert cell_len(first_line(width)) <= width


def test_a_curve_goes_from_its_lowest_to_its_highest_and_keeps_its_end() -> None:
    shown = {"": [], "▅": [0.3], "▅▅▅": [0.3, 0.3, 0.3], "▁█▃": [0.1, 0.8, 0.3]}
    shown |= {BARS: [*map(float, range(100))], "▂▃▄▅▆▇█▁": [*map(float, range(100)), -1.0]}
    assert {curve: sparkline(values, 8) for curve, values in shown.items()} == {
        curve: curve for curve in shown
    }
    assert sparkline([0.1, 0.2], 0) == ""
