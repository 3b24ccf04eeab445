"""A curve in a few characters."""

import pytest

from search.display.parts import ASCII_BARS, BARS, sparkline


def test_the_lowest_is_the_lowest_bar_and_the_highest_the_highest() -> None:
    assert sparkline([0.1, 0.8, 0.3], 8) == "▁█▃"
    assert sparkline([0.1 * step for step in range(8)], 8) == BARS


def test_a_curve_that_is_too_long_keeps_its_end() -> None:
    values = [float(number) for number in range(100)]
    line = sparkline(values, 8)
    assert line == BARS
    assert sparkline([*values, -1.0], 8)[-1] == "▁"


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.3, 0.3]])
def test_a_flat_line_is_neither_low_nor_high(values: list[float]) -> None:
    assert sparkline(values, 8) == "▅" * len(values)


def test_nothing_is_an_empty_line() -> None:
    assert sparkline([], 8) == ""
    assert sparkline([0.1, 0.2], 0) == ""


def test_a_terminal_that_knows_ascii_alone_gets_that() -> None:
    line = sparkline([0.1, 0.8], 8, ascii_only=True)
    assert line.isascii()
    assert line == ASCII_BARS[0] + ASCII_BARS[-1]
