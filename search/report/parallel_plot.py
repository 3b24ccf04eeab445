"""Parallel coordinates: every finished trial as a line through its parameters."""

import math
from collections.abc import Sequence

from search.records.trials import TrialRecord, parameter_name
from search.report import drawing as draw
from search.report.drawing import ACCENT, FAIL, INK, MOST_TICKS, MUTED, SEQUENTIAL, Json, Plot
from search.report.facts import TOP_SHARE, Facts, parameter_count, top_trials
from search.report.trial_plots import range_words

FOOT = 0.12
"""How far below the others those that diverged end, as a share of the axis of accuracies."""

HEIGHT = 440


def parallel_plot(facts: Facts) -> Plot | None:
    """Every finished trial as a line through its parameters; None below two trials."""
    if len(facts.compared) < 2:
        return None
    trials = [*facts.diverged, *facts.compared]
    values = [trial.value or 0.0 for trial in facts.compared]
    low, high = min(values), max(values)
    foot = low - FOOT * ((high - low) or 0.01)
    axes = [*_axes(facts, trials), _accuracy_axis(trials, low, high, foot)]
    lines = {
        "type": "parcoords",
        "dimensions": axes,
        "line": {"color": axes[-1]["values"], **_colors(facts, low, high, foot)},
        "labelfont": {"color": INK, "size": 12},
        "tickfont": {"color": INK, "size": 11},
        "rangefont": {"color": MUTED, "size": 10},
        "unselected": {"line": {"color": MUTED, "opacity": 0.08}},
    }
    margin = {"l": 70, "r": 60, "t": 64, "b": 24}
    return Plot(
        id="plot-parallel",
        label="Parallel coordinates: parameters and accuracy of every finished trial",
        caption=_finding(facts),
        data=[lines],
        layout=draw.layout("", "", height=HEIGHT, legend=False, margin=margin),
        without_webgl=_plain_lines(trials, axes),
    )


def _finding(facts: Facts) -> str:
    """What the top trials have in common."""
    top = top_trials(facts.trials)
    if not top:
        return "No trial is complete, so no trial is a top one."
    names = [name for name in top[0].parameters if all(name in trial.parameters for trial in top)]
    ranges = [
        f"{parameter_name(name)} {range_words([float(trial.parameters[name]) for trial in top])}"
        for name in names
    ]
    return (
        f"The {draw.counted(len(top), 'best complete trial')} (the top {TOP_SHARE:.0%}) "
        f"{'has' if len(top) == 1 else 'have'}: {', '.join(ranges)}. Each line is a finished "
        f"trial{', a red one diverged' if facts.diverged else ''}; on a wide screen, drag "
        "along an axis to keep the trials in that range."
    )


def _axes(facts: Facts, trials: Sequence[TrialRecord]) -> list[Json]:
    """An axis for each parameter that every trial has and that varies, then their number."""
    found = []
    for name, bounds in facts.spec.space.bounds.items():
        values = [trial.parameters.get(name) for trial in trials]
        known = [float(value) for value in values if value is not None]
        if len(known) == len(trials) and len(set(known)) > 1:
            found.append(_axis(parameter_name(name), known, bounds.is_logarithmic))
    counts = [parameter_count(trial) for trial in trials]
    if all(counts) and len(set(counts)) > 1:
        found.append(_axis("parameters", [float(count or 0) for count in counts], True))
    return found


def _axis(label: str, values: Sequence[float], is_logarithmic: bool) -> Json:
    """Values on their scale, the ends and what lies between named as people read them."""
    if not is_logarithmic:
        distinct = sorted(set(values))
        ticks = {"tickvals": distinct} if len(distinct) <= MOST_TICKS else {}
        return {"label": label, "values": list(values), **ticks}
    places = [math.log2(value) for value in values]
    low, high = min(places), max(places)
    if all(place == round(place) for place in places):
        at = [float(n) for n in range(round(low), round(high) + 1)]
    else:
        at = _spread(low, high)
    return {
        "label": label,
        "values": [draw.rounded(place) for place in places],
        "tickvals": [draw.rounded(place) for place in at],
        "ticktext": [draw.short(2**place) for place in at],
    }


def _spread(low: float, high: float) -> list[float]:
    return [low + share * (high - low) for share in (0, 0.25, 0.5, 0.75, 1)]


def _accuracy_axis(trials: Sequence[TrialRecord], low: float, high: float, foot: float) -> Json:
    """The last axis; trials that diverged have no accuracy and end below all others."""
    values = [foot if trial.state == "diverged" else trial.value for trial in trials]
    axis: Json = {
        "label": "accuracy",
        "values": [draw.rounded(value) for value in values],
        "tickformat": ".3f",
    }
    if all(trial.state != "diverged" for trial in trials):
        return axis
    ticks = _spread(low, high)
    return axis | {
        "tickvals": [draw.rounded(foot), *map(draw.rounded, ticks)],
        "ticktext": ["diverged", *(f"{tick:.3f}" for tick in ticks)],
    }


def _colors(facts: Facts, low: float, high: float, foot: float) -> Json:
    """Light to dark by accuracy; the color of failures for what diverged, below all of them."""
    if not facts.diverged:
        stops = [list(stop) for stop in SEQUENTIAL]
        return {"colorscale": stops, "cmin": draw.rounded(low), "cmax": draw.rounded(high)}
    begin = FOOT / (1 + FOOT)
    stops = [[0.0, FAIL], [begin / 2, FAIL], [begin / 2, SEQUENTIAL[0][1]]]
    stops += [[round(begin + share * (1 - begin), 4), color] for share, color in SEQUENTIAL]
    return {"colorscale": stops, "cmin": draw.rounded(foot), "cmax": draw.rounded(high)}


def _plain_lines(
    trials: Sequence[TrialRecord], axes: Sequence[Json]
) -> tuple[Sequence[Json], Json]:
    """The same as ordinary lines, every axis from its lowest to its highest value."""
    top = {trial.number for trial in top_trials(trials)}
    diverged = {trial.number for trial in trials if trial.state == "diverged"}
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
        lines = [
            line for trial, line in zip(trials, scaled, strict=True) if trial.number in numbers
        ]
        line = {"color": color, "width": width}
        x, y = draw.with_gaps([across] * len(lines)), draw.with_gaps(lines)
        if lines:
            traces.append(
                draw.trace(name, x, y, mode="lines", line=line, opacity=opacity, hoverinfo="skip")
            )
    names = {
        "tickvals": across,
        "ticktext": [axis["label"] for axis in axes],
        "range": [-0.1, len(axes) - 0.9],
        "tickangle": -40,
    }
    ends = {"tickvals": [0, 1], "ticktext": ["lowest", "highest"]}
    return traces, draw.layout("", "", height=HEIGHT, xaxis=names, yaxis=ends)


def _scaled(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [round((value - low) / ((high - low) or 1.0), 4) for value in values]
