"""Pictures of what trials tried: importances, slices, parallel coordinates."""

import math
from collections.abc import Sequence
from itertools import groupby
from statistics import fmean

from search.analysis.cautions import Region
from search.config.dimensions import Bounds
from search.records.trials import (
    TrialRecord,
    best_of,
    counted,
    parameter_name,
)
from search.report import drawing as draw
from search.report.drawing import Json, Plot
from search.report.facts import TOP_SHARE, Facts, parameter_count, top_trials


def importance_plot(facts: Facts) -> Plot | None:
    """Bars, the most important parameter on top; None where too little is known."""
    if not facts.importances:
        return None
    upward = dict(list(facts.importances.items())[::-1])
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [draw.rounded(share) for share in upward.values()],
        "y": [parameter_name(name) for name in upward],
        "text": [f"{share:.0%}" for share in upward.values()],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": draw.ACCENT},
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
    }
    (first, share), *others = facts.importances.items()
    before = (
        f", before the {parameter_name(others[0][0])} with {others[0][1]:.0%}" if others else ""
    )
    return Plot(
        id="plot-importances",
        label="Bar chart: importance of every parameter",
        caption=f"The {parameter_name(first)} tells the best trials from the rest more than "
        f"others: {share:.0%}{before}. Shares of PED-ANOVA over the complete trials; they say "
        "where the best trials cluster, not which value is best.",
        data=[bars],
        layout=draw.layout(
            "importance",
            "",
            height=110 + 34 * len(upward),
            legend=False,
            xaxis={"tickformat": ".0%", "rangemode": "tozero", "nticks": 5, "tickangle": 0},
            yaxis={"gridcolor": draw.NO_COLOR, "ticks": ""},
            margin={"l": 130, "r": 48, "t": 8, "b": 48},
        ),
    )


def slice_plots(facts: Facts) -> list[Plot]:
    """A small picture for each parameter of the space with more than one value.

    All of them share their axis upward.
    """
    if not facts.compared:
        return []
    upward = draw.accuracy_window(facts.compared)
    trials = [*facts.compared, *facts.diverged]
    return [
        _slice(facts, name, bounds, having, upward)
        for name, bounds in facts.spec.space.bounds.items()
        if bounds.low < bounds.high
        and len(having := [trial for trial in trials if name in trial.parameters]) > 1
    ]


def _slice(
    facts: Facts, name: str, bounds: Bounds, trials: list[TrialRecord], upward: list[float]
) -> Plot:
    """The objective over one parameter, the ends of the space as dashed lines."""
    title, region = parameter_name(name), facts.region

    def place(trial: TrialRecord) -> float:
        return float(trial.parameters[name])

    return Plot(
        id=f"plot-slice-{name.replace('_', '-')}",
        title=title,
        label=f"Scatter chart: validation {facts.measure} over {title}",
        caption=_slice_finding(name, trials),
        data=draw.scatter(trials, place, upward[0], legend=False, size=7),
        layout=draw.layout(
            title,
            "",
            height=260,
            legend=False,
            xaxis=_slice_axis(bounds),
            yaxis={"range": upward},
            margin={"l": 44, "r": 10, "t": 10, "b": 44},
            shapes=_shapes(region if region and region.parameter == name else None, bounds),
        ),
    )


def _slice_finding(name: str, trials: Sequence[TrialRecord]) -> str:
    """Where the top trials lie on one axis, or the mean of each value of one with few."""
    complete = [trial for trial in trials if trial.state == "complete"]
    best = best_of(complete)
    if best is None:
        return "No complete trial has this parameter."
    top = [float(trial.parameters[name]) for trial in top_trials(complete)]
    verb = "lies" if min(top) == max(top) else "lie"
    words = f"The top {TOP_SHARE:.0%} {verb} at {range_words(top)}"
    means = _means(name, complete) if isinstance(best.parameters[name], int) else {}
    if len(means) > 1:
        value, mean = max(means.items(), key=lambda item: item[1])
        words += (
            f"; of the values with several complete trials {value:g} has the best mean, {mean:.4f}"
        )
    return f"{words}; the trial with the highest value has {float(best.parameters[name]):.3g}."


def range_words(values: Sequence[float]) -> str:
    """Such as ``16 to 64``, or ``16`` where all are equal."""
    low, high = min(values), max(values)
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def _means(name: str, trials: Sequence[TrialRecord]) -> dict[float, float]:
    """The mean of each value that several trials have."""
    ordered = sorted(trials, key=lambda trial: trial.parameters[name])
    values = {
        float(value): [trial.value or 0.0 for trial in alike]
        for value, alike in groupby(ordered, key=lambda trial: trial.parameters[name])
    }
    return {value: fmean(several) for value, several in values.items() if len(several) > 1}


def _slice_axis(bounds: Bounds) -> Json:
    if bounds.is_logarithmic:
        return draw.log_axis(bounds.low, bounds.high, powers_of_two=not bounds.is_continuous)
    margin = 0.06 * (bounds.high - bounds.low)
    whole = {} if bounds.is_continuous else draw.whole_ticks(bounds.low, bounds.high)
    return {"range": [bounds.low - margin, bounds.high + margin], **whole}


def _shapes(region: Region | None, bounds: Bounds) -> list[Json]:
    """The part of the axis where trials diverge, shaded, and the ends of the space as lines."""
    upright = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    dashes = {"color": draw.MUTED, "width": 1.2, "dash": "dash"}
    shapes: list[Json] = [
        {"type": "line", **upright, "x0": end, "x1": end, "line": dashes}
        for end in (bounds.low, bounds.high)
    ]
    if region is not None:
        end = bounds.high if region.is_above else bounds.low
        shade = {"fillcolor": draw.FAIL, "opacity": 0.1, "line": {"width": 0}}
        shapes.insert(0, {"type": "rect", **upright, "x0": region.limit, "x1": end, **shade})
    return shapes


# --- parallel coordinates --------------------------------------------------------------------

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
    axes = [*_axes(facts, trials), _value_axis(facts.measure, trials, low, high, foot)]
    lines = {
        "type": "parcoords",
        "dimensions": axes,
        "line": {"color": axes[-1]["values"], **_colors(facts, low, high, foot)},
        "labelfont": {"color": draw.INK, "size": 12},
        "tickfont": {"color": draw.INK, "size": 11},
        "rangefont": {"color": draw.MUTED, "size": 10},
        "unselected": {"line": {"color": draw.MUTED, "opacity": 0.08}},
    }
    margin = {"l": 70, "r": 60, "t": 64, "b": 24}
    return Plot(
        id="plot-parallel",
        label=f"Parallel coordinates: parameters and {facts.measure} of every finished trial",
        caption=_finding(facts),
        data=[lines],
        layout=draw.layout("", "", height=HEIGHT, legend=False, margin=margin),
        without_webgl=_plain_lines(trials, axes),
    )


def _finding(facts: Facts) -> str:
    top = top_trials(facts.trials)
    if not top:
        return "No trial is complete, so no trial is a top one."
    names = [name for name in top[0].parameters if all(name in trial.parameters for trial in top)]
    ranges = [
        f"{parameter_name(name)} {_values_words([trial.parameters[name] for trial in top])}"
        for name in names
    ]
    return (
        f"The {counted(len(top), 'best complete trial')} (the top {TOP_SHARE:.0%}) "
        f"{'has' if len(top) == 1 else 'have'}: {', '.join(ranges)}. Each line is a finished "
        f"trial{', a red one diverged' if facts.diverged else ''}; on a wide screen, drag "
        "along an axis to keep the trials in that range."
    )


def _values_words(values: Sequence[float | str]) -> str:
    """Texts one after another, numbers as a range."""
    numbers = [float(value) for value in values if not isinstance(value, str)]
    if len(numbers) < len(values):
        return " or ".join(sorted({str(value) for value in values}))
    return range_words(numbers)


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
        ticks = {"tickvals": distinct} if len(distinct) <= draw.MOST_TICKS else {}
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


def _value_axis(
    measure: str, trials: Sequence[TrialRecord], low: float, high: float, foot: float
) -> Json:
    """The last axis; trials that diverged have no value and end below all others."""
    values = [foot if trial.state == "diverged" else trial.value for trial in trials]
    axis: Json = {
        "label": measure,
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
        stops = [list(stop) for stop in draw.SEQUENTIAL]
        return {"colorscale": stops, "cmin": draw.rounded(low), "cmax": draw.rounded(high)}
    begin = FOOT / (1 + FOOT)
    stops = [[0.0, draw.FAIL], [begin / 2, draw.FAIL], [begin / 2, draw.SEQUENTIAL[0][1]]]
    stops += [[round(begin + share * (1 - begin), 4), color] for share, color in draw.SEQUENTIAL]
    return {"colorscale": stops, "cmin": draw.rounded(foot), "cmax": draw.rounded(high)}


def _plain_lines(
    trials: Sequence[TrialRecord], axes: Sequence[Json]
) -> tuple[Sequence[Json], Json]:
    """The same as ordinary lines, every axis from its lowest to its highest value."""
    top = {trial.number for trial in top_trials(trials)}
    diverged = {trial.number for trial in trials if trial.state == "diverged"}
    others = {trial.number for trial in trials} - top - diverged
    looks = (
        (others, "others", draw.MUTED, 1, 0.3),
        (diverged, "diverged", draw.FAIL, 1, 0.5),
        (top, f"top {TOP_SHARE:.0%}", draw.ACCENT, 2, 0.9),
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
