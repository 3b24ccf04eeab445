"""Durations as people read them on a clock."""

from datetime import timedelta


def clock(seconds: float) -> str:
    """Hours, minutes and seconds, such as ``1:02:03``."""
    return str(timedelta(seconds=max(round(seconds), 0)))


def short_clock(seconds: float) -> str:
    """The same without hours while there are none, such as ``2:03``."""
    text = clock(seconds)
    return text.removeprefix("0:0").removeprefix("0:") if text.startswith("0:") else text
