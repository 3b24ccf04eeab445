"""What a model costs in use, in words, and held against the limits of a study."""

from collections.abc import Mapping
from typing import Literal, get_args

Cost = Literal["parameters", "megabytes", "milliseconds"]

COSTS: tuple[Cost, ...] = get_args(Cost)

Limits = Mapping[str, float]
"""The most that a trial may cost, by the name of the cost; empty where nothing is limited."""

_UNITS: Mapping[str, str] = {"parameters": "parameters", "megabytes": "MB", "milliseconds": "ms"}


def cost_text(name: str, value: float) -> str:
    """A cost without its unit: ``1,234,567`` parameters, ``7.531`` megabytes."""
    return f"{value:,.0f}" if name == "parameters" else f"{value:.4g}"


def cost_words(name: str, value: float) -> str:
    """A cost in words, such as ``1,234,567 parameters`` or ``7.531 MB``."""
    return f"{cost_text(name, value)} {_UNITS[name]}"


def excesses(costs: Mapping[str, float], limits: Limits) -> dict[str, float]:
    """By how much of its limit each known cost is above it; 0 or less keeps the limit."""
    return {name: costs[name] / limit - 1 for name, limit in limits.items() if name in costs}


def breach(costs: Mapping[str, float], limits: Limits, *, is_whole: bool) -> str | None:
    """Which limits are broken, in words; None where all are kept.

    Of a trial that is whole, one that ran to its end, every cost was to be measured: where one was
    not, as the limit is newer than the trial, it is not known to be kept.
    """
    above = excesses(costs, limits)
    words = [
        f"{cost_words(name, costs[name])} (limit {cost_text(name, limit)})"
        if name in costs
        else f"{name} not measured (limit {cost_text(name, limit)})"
        for name, limit in limits.items()
        if (above[name] > 0 if name in costs else is_whole)
    ]
    return ", ".join(words) or None
