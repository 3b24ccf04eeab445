"""Parallel coordinates: every finished trial as a line through its parameters."""

import math
from collections.abc import Sequence
from typing import Any

from search.analysis.instability import diverged_trials
from search.records.trials import TrialRecord
from search.report.facts import Facts
from search.report.findings import TOP_SHARE, parallel_finding, parameter_count, top_trials
from search.report.style import (
    ACCENT,
    FAIL,
    INK,
    MOST_TICKS,
    MUTED,
    SEQUENTIAL,
    Json,
    Plot,
    layout,
    readable,
    rounded,
    short,
)

FOOT = 0.12
"""How far below the others those that diverged end, as a share of the axis of accuracies."""


def parallel_plot(facts: Facts) -> Plot | None:
    """Every finished trial as a line through its parameters; None below two trials."""
    if len(facts.compared) < 2:
        return None
    trials = [*facts.diverged, *facts.compared]
    values = [trial.value or 0.0 for trial in facts.compared]
    foot = min(values) - FOOT * ((max(values) - min(values)) or 0.01)
    axes = [*_axes(facts, trials), _accuracy_axis(trials, values, foot)]
    lines = {
        "type": "parcoords",
        "dimensions": axes,
        "line": {
            "color": axes[-1]["values"],
            **_colors(facts, min(values), max(values), foot),
        },
        "labelfont": {"color": INK, "size": 12},
        "tickfont": {"color": INK, "size": 11},
        "rangefont": {"color": MUTED, "size": 10},
        "unselected": {"line": {"color": MUTED, "opacity": 0.08}},
    }
    drawn = layout("", "", height=440, legend=False, margin={"l": 70, "r": 60, "t": 64, "b": 24})
    return Plot(
        id="plot-parallel",
        label="Parallel coordinates: parameters and accuracy of every finished trial",
        caption=parallel_finding(facts.trials),
        data=[lines],
        layout=drawn,
        height=440,
        without_webgl=_plain_lines(trials, axes),
    )


def _axes(facts: Facts, trials: Sequence[TrialRecord]) -> list[Json]:
    """An axis for each parameter that every trial has and that varies, then their number."""
    bounds = facts.spec.space.bounds
    axes = []
    for name in bounds:
        values = [trial.parameters.get(name) for trial in trials]
        known = [float(value) for value in values if value is not None]
        if len(known) == len(trials) and len(set(known)) > 1:
            axes.append(_axis(readable(name), known, bounds[name].is_logarithmic))
    counts = [parameter_count(trial) for trial in trials]
    if all(counts) and len(set(counts)) > 1:
        axes.append(_axis("parameters", [float(count or 0) for count in counts], True))
    return axes


def _accuracy_axis(trials: Sequence[TrialRecord], values: Sequence[float], foot: float) -> Json:
    """The last axis; trials that diverged have no accuracy and end below all others."""
    ends = [None if trial.state == "diverged" else rounded(trial.value) for trial in trials]
    axis: Json = {
        "label": "accuracy",
        "values": [rounded(foot) if end is None else end for end in ends],
        "tickformat": ".3f",
    }
    if None not in ends:
        return axis
    low, high = min(values), max(values)
    ticks = [low + share * (high - low) for share in (0, 0.25, 0.5, 0.75, 1)]
    return axis | {
        "tickvals": [rounded(foot), *map(rounded, ticks)],
        "ticktext": ["diverged", *(f"{tick:.3f}" for tick in ticks)],
    }


def _colors(facts: Facts, low: float, high: float, foot: float) -> Json:
    """Light to dark by accuracy; the color of failures for what diverged, below all of them."""
    if not facts.diverged:
        return {"colorscale": _stops(), "cmin": rounded(low), "cmax": rounded(high)}
    begin = FOOT / (1 + FOOT)
    stops = [[0.0, FAIL], [begin / 2, FAIL], [begin / 2, SEQUENTIAL[0][1]]]
    stops += [[round(begin + share * (1 - begin), 4), color] for share, color in _stops()]
    return {"colorscale": stops, "cmin": rounded(foot), "cmax": rounded(high)}


def _stops() -> list[list[Any]]:
    return [list(stop) for stop in SEQUENTIAL]


def _axis(label: str, values: Sequence[float], is_logarithmic: bool) -> Json:
    """Values on their scale, the ends and what lies between named as people read them."""
    if not is_logarithmic:
        distinct = sorted(set(values))
        ticks = {"tickvals": distinct} if len(distinct) <= MOST_TICKS else {}
        return {"label": label, "values": list(values), **ticks}
    places = [rounded(math.log2(value)) for value in values]
    low, high = math.log2(min(values)), math.log2(max(values))
    if all(value == 2 ** round(math.log2(value)) for value in values):
        ticks_at = [float(n) for n in range(round(low), round(high) + 1)]
    else:
        ticks_at = [low + share * (high - low) for share in (0, 0.25, 0.5, 0.75, 1)]
    words = [short(2**place) for place in ticks_at]
    return {
        "label": label,
        "values": places,
        "tickvals": [rounded(place) for place in ticks_at],
        "ticktext": words,
    }


def _plain_lines(
    trials: Sequence[TrialRecord], axes: Sequence[Json]
) -> tuple[Sequence[Json], Json]:
    """The same as ordinary lines, every axis from its lowest to its highest value."""
    top = {trial.number for trial in top_trials(trials)}
    diverged = {trial.number for trial in diverged_trials(trials)}
    others = {trial.number for trial in trials} - top - diverged
    looks = (
        (others, "others", MUTED, 1, 0.3),
        (diverged, "diverged", FAIL, 1, 0.5),
        (top, f"top {TOP_SHARE:.0%}", ACCENT, 2, 0.9),
    )
    across = list(range(len(axes)))
    scaled = list(zip(*(_scaled(axis["values"]) for axis in axes), strict=True))
    traces = []
    for numbers, name, color, width, opacity in looks:
        if not numbers:
            continue
        x: list[float | None] = []
        y: list[float | None] = []
        for trial, line in zip(trials, scaled, strict=True):
            if trial.number in numbers:
                x += [*across, None]
                y += [*line, None]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": x,
                "y": y,
                "line": {"color": color, "width": width},
                "opacity": opacity,
                "hoverinfo": "skip",
            }
        )
    names = {
        "tickvals": across,
        "ticktext": [axis["label"] for axis in axes],
        "range": [-0.1, len(axes) - 0.9],
        "tickangle": -40,
    }
    ends = {"tickvals": [0, 1], "ticktext": ["lowest", "highest"]}
    return traces, layout("", "", height=440, xaxis=names, yaxis=ends)


def _scaled(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [round((value - low) / ((high - low) or 1.0), 4) for value in values]
