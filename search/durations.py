"""Durations as people read them on a clock."""

from datetime import timedelta


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
