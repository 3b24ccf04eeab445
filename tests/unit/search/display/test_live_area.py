"""Lines that are drawn again in place, and how many they become in a narrower terminal."""

from rich.text import Text

from search.display.terminal import Content, rows_of
from tests.unit.search.terminals import drawn


def test_long_lines_become_more_and_empty_ones_stay_one() -> None:
    assert rows_of([80, 0, 40, 41], 40) == 2 + 1 + 1 + 2


def test_lengths_are_those_of_the_lines_without_spaces_at_their_ends() -> None:
    content = Content()
    content.shown = Text("three   \n\na line")
    drawn(content)
    assert list(content.lengths) == [5, 0, 6]


def test_what_is_higher_than_the_terminal_is_cut() -> None:
    content = Content()
    content.shown = Text("\n".join(map(str, range(30))))
    assert drawn(content, height=5) == ["0", "1", "2", "3"]
