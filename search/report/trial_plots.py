"""Pictures of what trials tried: importances, slices, size."""

from collections.abc import Sequence
from itertools import groupby
from statistics import fmean

from search.analysis.instability import Region
from search.config.dimensions import Bounds
from search.records.trials import TrialRecord, best_of, parameter_name
from search.report import drawing as draw
from search.report.drawing import ACCENT, ACCURACY, FAIL, INK, MUTED, NO_COLOR, Json, Plot
from search.report.facts import TOP_SHARE, Facts, parameter_count, pareto_front, top_trials


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
        "marker": {"color": ACCENT},
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
            yaxis={"gridcolor": NO_COLOR, "ticks": ""},
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
        _slice(name, bounds, having, upward, facts.region)
        for name, bounds in facts.spec.space.bounds.items()
        if bounds.low < bounds.high
        and len(having := [trial for trial in trials if name in trial.parameters]) > 1
    ]


def _slice(
    name: str, bounds: Bounds, trials: list[TrialRecord], upward: list[float], region: Region | None
) -> Plot:
    """Accuracy over one parameter, the ends of the space as dashed lines."""
    title = parameter_name(name)

    def place(trial: TrialRecord) -> float:
        return float(trial.parameters[name])

    return Plot(
        id=f"plot-slice-{name.replace('_', '-')}",
        title=title,
        label=f"Scatter chart: validation accuracy over {title}",
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
    dashes = {"color": MUTED, "width": 1.2, "dash": "dash"}
    shapes: list[Json] = [
        {"type": "line", **upright, "x0": end, "x1": end, "line": dashes}
        for end in (bounds.low, bounds.high)
    ]
    if region is not None:
        end = bounds.high if region.is_above else bounds.low
        shade = {"fillcolor": FAIL, "opacity": 0.1, "line": {"width": 0}}
        shapes.insert(0, {"type": "rect", **upright, "x0": region.limit, "x1": end, **shade})
    return shapes


def size_plot(facts: Facts) -> Plot | None:
    """Accuracy over the number of parameters, with the Pareto front; None where none is known."""
    trials = [trial for trial in facts.compared if parameter_count(trial)]
    if not trials:
        return None
    drawn = [*trials, *(trial for trial in facts.diverged if parameter_count(trial))]
    counts = [parameter_count(trial) or 1 for trial in drawn]
    upward, front = draw.accuracy_window(trials), pareto_front(trials)
    line = draw.trace(
        "Pareto front",
        [parameter_count(trial) for trial in front],
        [trial.value for trial in front],
        mode="lines",
        text=[draw.hover(trial) for trial in front],
        line={"shape": "hv", "color": INK, "width": 1.6},
    )
    return Plot(
        id="plot-size",
        label="Scatter chart: validation accuracy over the number of parameters",
        caption=_size_finding(front),
        data=[line, *draw.scatter(drawn, parameter_count, upward[0])],
        layout=draw.layout(
            "parameters (both towers)",
            ACCURACY,
            xaxis=draw.log_axis(min(counts), max(counts)),
            yaxis={"range": upward},
        ),
    )


def _size_finding(front: Sequence[TrialRecord]) -> str:
    """What the smallest and the best of the front have."""
    if not front:
        return "No complete trial has a known number of parameters."
    small, best = front[0], front[-1]
    words = (
        f"The trial with the highest value, {best.number}, has {parameter_count(best):,} "
        f"parameters and {best.value:.4f}"
    )
    if small is not best:
        words += (
            f"; trial {small.number}, the smallest, has {parameter_count(small):,} "
            f"and {small.value:.4f}"
        )
    numbers = ", ".join(str(trial.number) for trial in front)
    return (
        f"{words}. The line joins the trials that none beats with as few parameters "
        f"(the Pareto front): {numbers}."
    )
