"""The first line of every view."""

import pytest
from rich.cells import cell_len

from search.display.parts import overall
from tests.unit.search.terminals import drawn


def line(width: int, *, done: int = 3) -> str:
    [only] = drawn(overall("name", "trials", done, 50, "0:01:00 left", width), width)
    return only


def test_all_of_it_where_there_is_room() -> None:
    assert line(80).startswith("name   3 of 50 trials  ━")
    assert line(80).endswith("  0:01:00 left")
    assert cell_len(line(80)) == 80


def test_nothing_moves_when_the_number_gets_longer() -> None:
    assert line(80, done=9).index("━") == line(80, done=10).index("━")


@pytest.mark.parametrize(
    ("width", "shown"),
    [(44, "0:01:00 left"), (30, "0:01:00 left"), (20, " 3 of 50 trials"), (10, " 3 of 50 …")],
)
def test_where_there_is_less_the_numbers_stay(width: int, shown: str) -> None:
    assert shown in line(width)
    assert cell_len(line(width)) <= width


def test_a_bar_does_not_grow_for_ever() -> None:
    assert cell_len(line(200)) < 110
