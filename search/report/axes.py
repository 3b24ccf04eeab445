"""Axes of pictures: the part that is shown, and where the ticks are."""

import math
from collections.abc import Sequence
from statistics import median

from search.report.style import Json, short
from search.trials import TrialRecord

MOST_TICKS = 8

SHOWN = 3.0
"""An axis of accuracies reaches so many times as far below the best as the better half does."""

LEAST_SHOWN = 0.03
"""An axis of accuracies reaches at least so far below the best."""


def accuracy_range(values: Sequence[float]) -> list[float]:
    """The ends of an axis that shows all these accuracies, somewhat apart, within 0 and 1."""
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.01
    # Rounded as points are, so that those at an edge are not beyond it.
    return [round(max(0.0, low - margin), 5), round(min(1.0, high + margin), 5)]


def accuracy_window(trials: Sequence[TrialRecord]) -> list[float]:
    """The ends of an axis on which the good trials can be told apart, whatever the bad ones have.

    The better half of the complete trials (of all, if none is complete) takes a third of it or
    more; what lies below is drawn at its edge.

    Args:
        trials: with values; at least one.
    """
    values = [trial.value or 0.0 for trial in trials]
    complete = [trial.value or 0.0 for trial in trials if trial.state == "complete"]
    high = max(values)
    reach = max(SHOWN * (high - median(complete or values)), LEAST_SHOWN)
    return accuracy_range([max(min(values), high - reach), high])


def whole_ticks(low: float, high: float) -> Json:
    """Ticks at whole numbers alone, few enough to be read: 1, 2 or 5 times a power of ten apart."""
    least = max((high - low) / MOST_TICKS, 1.0)
    power = 10.0 ** math.floor(math.log10(least))
    return {
        "tick0": 0,
        "dtick": next(step * power for step in (1, 2, 5, 10) if step * power >= least),
    }


def log_axis(low: float, high: float, *, powers_of_two: bool = False) -> Json:
    """A logarithmic axis from somewhat below ``low`` to somewhat above ``high``, both positive."""
    ends = [math.log10(low), math.log10(high)]
    margin = 0.06 * (ends[1] - ends[0]) or 0.1
    axis: Json = {"type": "log", "range": [ends[0] - margin, ends[1] + margin]}
    if powers_of_two:
        ticks = [2**n for n in range(round(math.log2(low)), round(math.log2(high)) + 1)]
        return axis | {"tickvals": ticks, "ticktext": [str(tick) for tick in ticks]}
    steps = [
        step * 10.0**n
        for n in range(math.floor(ends[0]), math.ceil(ends[1]) + 1)
        for step in ((1, 2, 5) if ends[1] - ends[0] < 1.5 else (1,))
    ]
    shown = [tick for tick in steps if low <= tick <= high]
    shown = shown if len(shown) > 1 else sorted({low, high})
    return axis | {"tickvals": shown, "ticktext": [short(tick) for tick in shown]}
