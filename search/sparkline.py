"""A curve in a few characters."""

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-~=+*#"


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """The values as bars, from the lowest of them to the highest.

    Args:
        values: finite numbers, in order.
        width: the most characters; of more values, each character shows the last of its share.
        ascii_only: for terminals that know no more.
    """
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    shown = [values[(place + 1) * len(values) // count - 1] for place in range(count)]
    bars = ASCII_BARS if ascii_only else BARS
    low, high = min(shown), max(shown)
    if low == high:  # a single point, or a flat line: neither low nor high
        return bars[len(bars) // 2] * count
    steps = len(bars) - 1
    return "".join(bars[round((value - low) / (high - low) * steps)] for value in shown)
