"""Trials as points: one trace a depth and state, drawn alike in every picture."""

from collections.abc import Callable, Iterable, Sequence

from search.records.trials import TrialRecord, by_depth, depth_of
from search.report.style import FAIL, INK, Json, color_of, depth_name, hover, rounded, symbol_of

BELOW, DIVERGED = "triangle-down-open", "x-thin"
"""Symbols at the lower edge: of trials below it, and of those that diverged."""

XOf = Callable[[TrialRecord], float]


def scatter(
    trials: Sequence[TrialRecord],
    x_of: XOf,
    *,
    floor: float,
    legend: bool = True,
    size: int = 9,
) -> Iterable[Json]:
    """The values of finished trials over something: filled if complete, open if pruned.

    Trials below the lower edge are drawn at it, as are those that diverged; what points there
    show beside the pointer is their own value.

    Args:
        trials: finished; each has a value or diverged.
        x_of: what they are drawn over.
        floor: the lower edge of the picture.
        legend: whether depths are named.
        size: of a symbol, in pixels.
    """
    healthy = [trial for trial in trials if trial.state != "diverged"]
    inside = [trial for trial in healthy if (trial.value or 0.0) >= floor]
    for depth, alike in by_depth(inside).items():
        for state in ("complete", "pruned"):
            chosen = [trial for trial in alike if trial.state == state]
            if chosen:
                named = legend and (
                    state == "complete" or all(trial.state == "pruned" for trial in alike)
                )
                yield _points(chosen, x_of, depth, state == "pruned", named, size)
    if legend and any(trial.state == "pruned" for trial in inside):
        yield _key_to_pruned()
    below = [trial for trial in healthy if (trial.value or 0.0) < floor]
    diverged = [trial for trial in trials if trial.state == "diverged"]
    yield from _at_the_edge(below, x_of, floor, "below the axis", BELOW, legend, size)
    yield from _at_the_edge(diverged, x_of, floor, "diverged", DIVERGED, legend, size)


def _points(
    trials: Sequence[TrialRecord],
    x_of: XOf,
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
        "cliponaxis": False,
        "marker": {
            "symbol": symbol_of(depth) + ("-open" if is_open else ""),
            "size": size,
            "color": color,
            "opacity": 0.9,
            "line": {"width": 1.6 if is_open else 0, "color": color},
        },
        "hovertemplate": "%{text}<extra></extra>",
    }


def _at_the_edge(
    trials: Sequence[TrialRecord],
    x_of: XOf,
    floor: float,
    name: str,
    symbol: str,
    named: bool,
    size: int,
) -> Iterable[Json]:
    """Trials whose place upward says nothing; none, if there are none."""
    if not trials:
        return
    is_bad = symbol == DIVERGED
    colors = FAIL if is_bad else [color_of(depth_of(trial.layer_sizes)) for trial in trials]
    yield {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "showlegend": named,
        "x": [x_of(trial) for trial in trials],
        "y": [rounded(floor)] * len(trials),
        "text": [hover(trial) for trial in trials],
        "cliponaxis": False,
        "marker": {
            "symbol": symbol,
            "size": size,
            "color": colors,
            "line": {"width": 1.8 if is_bad else 1.2, "color": colors},
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
