"""Pictures of what trials tried: importances, slices, size."""

from collections.abc import Iterable, Sequence

from search.analysis.instability import Region
from search.config.dimensions import Bounds
from search.records.trials import TrialRecord
from search.report.facts import Facts
from search.report.findings import (
    importance_finding,
    parameter_count,
    pareto_front,
    size_finding,
    slice_finding,
)
from search.report.scatter import scatter
from search.report.style import (
    ACCENT,
    ACCURACY,
    FAIL,
    INK,
    MUTED,
    Json,
    Plot,
    accuracy_window,
    hover,
    layout,
    log_axis,
    plain,
    readable,
    rounded,
    whole_ticks,
)

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


def slice_plots(facts: Facts) -> list[tuple[str, Plot]]:
    """A small picture for each parameter of the space with more than one value, by its name.

    All of them share their axis upward.
    """
    if not facts.compared:
        return []
    upward, unstable = accuracy_window(facts.compared), facts.region
    trials = [*facts.compared, *facts.diverged]
    found = []
    for name, bounds in facts.spec.space.bounds.items():
        having = [trial for trial in trials if name in trial.parameters]
        if bounds.low < bounds.high and len(having) >= LEAST_TRIALS:
            region = unstable if unstable and unstable.parameter == name else None
            found.append((readable(name), _slice(name, bounds, having, upward, region)))
    return found


def _slice(
    name: str,
    bounds: Bounds,
    trials: Sequence[TrialRecord],
    upward: Sequence[float],
    region: Region | None,
) -> Plot:
    """Accuracy over one parameter, the ends of the space as dashed lines."""
    drawn = layout(
        readable(name),
        "",
        height=SLICE_HEIGHT,
        legend=False,
        xaxis=_slice_axis(bounds),
        yaxis={"range": upward},
        margin={"l": 44, "r": 10, "t": 10, "b": 44},
        shapes=[*_unstable(region, bounds), *_edges(bounds)],
    )
    points = scatter(
        trials, lambda trial: float(trial.parameters[name]), floor=upward[0], legend=False, size=7
    )
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
    whole = {} if bounds.is_continuous else whole_ticks(bounds.low, bounds.high)
    return {"range": [bounds.low - margin, bounds.high + margin], **whole}


def _unstable(region: Region | None, bounds: Bounds) -> Iterable[Json]:
    """The part of the axis where trials diverge, shaded; nothing where it is another one's."""
    if region is not None:
        yield {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": region.limit,
            "x1": bounds.high if region.is_above else bounds.low,
            "y0": 0,
            "y1": 1,
            "fillcolor": FAIL,
            "opacity": 0.1,
            "line": {"width": 0},
            "layer": "below",
        }


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
    trials = [trial for trial in facts.compared if parameter_count(trial)]
    if not trials:
        return None
    diverged = [trial for trial in facts.diverged if parameter_count(trial)]
    counts = [parameter_count(trial) or 1 for trial in [*trials, *diverged]]
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
    upward = accuracy_window(trials)
    points = scatter(
        [*trials, *diverged],
        lambda trial: float(parameter_count(trial) or 0),
        floor=upward[0],
    )
    return Plot(
        id="plot-size",
        label="Scatter chart: validation accuracy over the number of parameters",
        caption=size_finding(trials),
        data=[line, *points],
        layout=layout(
            plain("parameters (both towers)"),
            ACCURACY,
            xaxis=log_axis(min(counts), max(counts)),
            yaxis={"range": upward},
        ),
    )
