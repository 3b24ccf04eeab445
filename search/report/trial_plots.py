"""Pictures of what trials tried: importances, parallel coordinates, slices, size."""

import math
from collections.abc import Iterable, Sequence

from search.bounds import Bounds, bounds_of
from search.report.facts import Facts
from search.report.findings import (
    TOP_SHARE,
    importance_finding,
    parallel_finding,
    size_finding,
    slice_finding,
    top_trials,
)
from search.report.pareto import parameter_count, pareto_front
from search.report.scatter import scatter
from search.report.style import (
    ACCENT,
    ACCURACY,
    INK,
    MUTED,
    SEQUENTIAL,
    Json,
    Plot,
    hover,
    layout,
    log_axis,
    plain,
    readable,
    rounded,
    short,
)
from search.trials import TrialRecord

LEAST_TRIALS = 2
"""Finished trials below which there is nothing to compare."""

SLICE_HEIGHT = 260


def importance_plot(facts: Facts) -> Plot | None:
    """Bars, the most important parameter on top; None where too little is known."""
    if not facts.importances:
        return None
    upward = dict(list(facts.importances.items())[::-1])
    height = 110 + 34 * len(upward)
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [rounded(share) for share in upward.values()],
        "y": [readable(name) for name in upward],
        "text": [f"{share:.0%}" for share in upward.values()],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": ACCENT},
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
    }
    across = {"tickformat": ".0%", "rangemode": "tozero", "nticks": 5, "tickangle": 0}
    margin = {"l": 130, "r": 48, "t": 8, "b": 48}
    return Plot(
        id="plot-importances",
        label="Bar chart: importance of every parameter",
        caption=importance_finding(facts.importances),
        data=[bars],
        layout=layout(
            "importance",
            "",
            height=height,
            legend=False,
            xaxis=across,
            margin=margin,
            yaxis={"gridcolor": "rgba(0,0,0,0)", "ticks": ""},
        ),
        height=height,
    )


def compared(facts: Facts) -> list[TrialRecord]:
    """The finished trials with a value, the worst first: the best are drawn last, on top."""
    valued = [trial for trial in facts.finished if trial.value is not None]
    return sorted(valued, key=lambda trial: trial.value or 0.0)


def parallel_plot(facts: Facts) -> Plot | None:
    """Every finished trial as a line through its parameters; None below two trials."""
    trials = compared(facts)
    if len(trials) < LEAST_TRIALS:
        return None
    axes = _parallel_axes(facts, trials)
    values = [trial.value or 0.0 for trial in trials]
    lines = {
        "type": "parcoords",
        "dimensions": axes,
        "line": {
            "color": [rounded(value) for value in values],
            "colorscale": [list(stop) for stop in SEQUENTIAL],
            "cmin": rounded(min(values)),
            "cmax": rounded(max(values)),
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


def _parallel_axes(facts: Facts, trials: Sequence[TrialRecord]) -> list[Json]:
    """An axis for each parameter that every trial has and that varies, then the accuracy."""
    bounds = bounds_of(facts.spec.space)
    axes = []
    for name in bounds:
        values = [trial.parameters.get(name) for trial in trials]
        known = [float(value) for value in values if value is not None]
        if len(known) == len(trials) and len(set(known)) > 1:
            axes.append(_parallel_axis(readable(name), known, bounds[name].is_logarithmic))
    counts = [parameter_count(trial) for trial in trials]
    if all(counts) and len(set(counts)) > 1:
        axes.append(_parallel_axis("parameters", [float(count or 0) for count in counts], True))
    accuracies = [rounded(trial.value) for trial in trials]
    return [*axes, {"label": "accuracy", "values": accuracies, "tickformat": ".3f"}]


def _parallel_axis(label: str, values: Sequence[float], is_logarithmic: bool) -> Json:
    """Values on their scale, the ends and what lies between named as people read them."""
    if not is_logarithmic:
        distinct = sorted(set(values))
        ticks = {"tickvals": distinct} if len(distinct) <= 8 else {}
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
    across = list(range(len(axes)))
    scaled = list(zip(*(_scaled(axis["values"]) for axis in axes), strict=True))
    traces = []
    for is_top, name in ((False, "others"), (True, f"top {TOP_SHARE:.0%}")):
        x: list[float | None] = []
        y: list[float | None] = []
        for trial, line in zip(trials, scaled, strict=True):
            if (trial.number in top) == is_top:
                x += [*across, None]
                y += [*line, None]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": x,
                "y": y,
                "line": {"color": ACCENT if is_top else MUTED, "width": 2 if is_top else 1},
                "opacity": 0.9 if is_top else 0.3,
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


def slice_plots(facts: Facts) -> list[tuple[str, Plot]]:
    """A small picture for each parameter of the space with more than one value, by its name."""
    trials = compared(facts)
    found = []
    for name, bounds in bounds_of(facts.spec.space).items():
        having = [trial for trial in trials if name in trial.parameters]
        if bounds.low < bounds.high and len(having) >= LEAST_TRIALS:
            found.append((readable(name), _slice(name, bounds, having)))
    return found


def _slice(name: str, bounds: Bounds, trials: Sequence[TrialRecord]) -> Plot:
    """Accuracy over one parameter, the ends of the space as dashed lines."""
    axis = _slice_axis(bounds)
    drawn = layout(
        readable(name),
        "",
        height=SLICE_HEIGHT,
        legend=False,
        xaxis=axis,
        margin={"l": 44, "r": 10, "t": 10, "b": 44},
        shapes=list(_edges(bounds)),
    )
    points = scatter(trials, lambda trial: float(trial.parameters[name]), legend=False, size=7)
    return Plot(
        id=f"plot-slice-{name.replace('_', '-')}",
        label=f"Scatter chart: validation accuracy over {readable(name)}",
        caption=slice_finding(name, trials),
        data=list(points),
        layout=drawn,
        height=SLICE_HEIGHT,
    )


def _slice_axis(bounds: Bounds) -> Json:
    if bounds.is_logarithmic:
        return log_axis(bounds.low, bounds.high, powers_of_two=not bounds.is_continuous)
    margin = 0.06 * (bounds.high - bounds.low)
    whole = {} if bounds.is_continuous else {"dtick": 1}
    return {"range": [bounds.low - margin, bounds.high + margin], **whole}


def _edges(bounds: Bounds) -> Iterable[Json]:
    for end in (bounds.low, bounds.high):
        yield {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": end,
            "x1": end,
            "y0": 0,
            "y1": 1,
            "line": {"color": MUTED, "width": 1.2, "dash": "dash"},
            "layer": "below",
        }


def size_plot(facts: Facts) -> Plot | None:
    """Accuracy over the number of parameters, with the Pareto front; None where none is known."""
    trials = [trial for trial in compared(facts) if parameter_count(trial)]
    if not trials:
        return None
    counts = [parameter_count(trial) or 1 for trial in trials]
    front = pareto_front(trials)
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "Pareto front",
        "x": [parameter_count(trial) for trial in front],
        "y": [rounded(trial.value) for trial in front],
        "text": [hover(trial) for trial in front],
        "line": {"shape": "hv", "color": INK, "width": 1.6},
        "hovertemplate": "%{text}<extra></extra>",
    }
    points = scatter(trials, lambda trial: float(parameter_count(trial) or 0))
    return Plot(
        id="plot-size",
        label="Scatter chart: validation accuracy over the number of parameters",
        caption=size_finding(trials),
        data=[line, *points],
        layout=layout(
            plain("parameters (both towers)"), ACCURACY, xaxis=log_axis(min(counts), max(counts))
        ),
    )
