"""Durations in words."""

import pytest

from search.display.parts import clock, short_clock, time_left


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0:00:00"), (0, "0:00:00"), (59.6, "0:01:00"), (7384, "2:03:04")],
)
def test_hours_minutes_and_seconds(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0 s"), (7.4, "7 s"), (59.6, "1:00"), (123, "2:03"), (754, "12:34"), (3723, "1:02:03")],
)
def test_short_ones_have_no_hours(seconds: float, shown: str) -> None:
    assert short_clock(seconds) == shown


def test_an_estimate_says_when_it_is_none_or_rough() -> None:
    assert time_left(None) == "-:--:-- left"
    assert time_left(65) == "0:01:05 left"
    assert time_left(65, is_measured=False) == "about 0:01:05 left"
