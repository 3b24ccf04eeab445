"""Trials as points: one trace a depth and state, drawn alike in every picture."""

from collections.abc import Callable, Iterable, Sequence

from search.depths import by_depth
from search.report.style import (
    INK,
    Json,
    color_of,
    depth_name,
    hover,
    rounded,
    symbol_of,
)
from search.trials import TrialRecord


def scatter(
    trials: Sequence[TrialRecord],
    x_of: Callable[[TrialRecord], float],
    *,
    legend: bool = True,
    size: int = 9,
) -> Iterable[Json]:
    """The values of finished trials over something: filled if complete, open if pruned.

    Args:
        trials: finished, each with a value.
        x_of: what they are drawn over.
        legend: whether depths are named.
        size: of a symbol, in pixels.
    """
    for depth, alike in by_depth(trials).items():
        for state in ("complete", "pruned"):
            chosen = [trial for trial in alike if trial.state == state]
            if chosen:
                named = legend and (
                    state == "complete" or all(trial.state == "pruned" for trial in alike)
                )
                yield _points(chosen, x_of, depth, state == "pruned", named, size)
    if legend and any(trial.state == "pruned" for trial in trials):
        yield _key_to_pruned()


def _points(
    trials: Sequence[TrialRecord],
    x_of: Callable[[TrialRecord], float],
    depth: int,
    is_open: bool,
    named: bool,
    size: int,
) -> Json:
    color = color_of(depth)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": depth_name(depth),
        "legendgroup": depth_name(depth),
        "showlegend": named,
        "x": [x_of(trial) for trial in trials],
        "y": [rounded(trial.value) for trial in trials],
        "text": [hover(trial) for trial in trials],
        "marker": {
            "symbol": symbol_of(depth) + ("-open" if is_open else ""),
            "size": size,
            "color": color,
            "opacity": 0.9,
            "line": {"width": 1.6 if is_open else 0, "color": color},
        },
        "hovertemplate": "%{text}<extra></extra>",
    }


def _key_to_pruned() -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "open: pruned",
        "x": [None],
        "y": [None],
        "marker": {"symbol": "circle-open", "size": 9, "color": INK},
    }
