"""Pictures of what came out: contenders over seeds, and quality against cost."""

from collections.abc import Mapping, Sequence

from search.analysis.noise import Sample, difference
from search.records.trials import COSTS, TrialRecord, cost_words, depth_of, objective_words
from search.report import drawing as draw
from search.report.confirmed import ContenderResult
from search.report.drawing import FAIL, INK, MUTED, NO_COLOR, Json, Plot
from search.report.facts import Facts

SEED_OFFSET = 0.22  # how far above its mean a seed is drawn, in rows

Rows = Sequence[ContenderResult]


def confirmation_plot(facts: Facts) -> Plot | None:
    """Every contender as a row: its seeds, their mean and standard deviation; None without any.

    What collapsed is drawn at the left edge, so that the others can be told apart.
    """
    if not facts.contenders:
        return None
    rows = list(reversed(facts.contenders))
    across = draw.accuracy_range(_shown(rows))
    names = {
        "tickvals": list(range(len(rows))),
        "ticktext": [_short_name(each) for each in rows],
        "range": [-0.6, len(rows) - 0.4],
        "gridcolor": NO_COLOR,
        "ticks": "",
    }
    height = 130 + 62 * len(rows)
    return Plot(
        id="plot-confirmation",
        label=f"Chart: validation {facts.measure} of every contender over several seeds",
        caption=_finding(facts),
        data=[*_seeds(rows, across[0]), *_means(rows, across[0]), _seen(rows)],
        layout=draw.layout(facts.axis, "", height=height, xaxis={"range": across}, yaxis=names),
    )


def _short_name(contender: ContenderResult) -> str:
    return "reference" if contender.trial is None else f"trial {contender.trial}"


def _finding(facts: Facts) -> str:
    """Which contender leads over the seeds, and whether by more than noise."""
    trials = [each for each in facts.contenders if each.trial is not None]
    reference = next((each for each in facts.contenders if each.trial is None), None)
    if not trials:
        return "No trial was trained with several seeds yet."
    stable = [each for each in trials if each.sample.is_stable]
    first, *others = stable or trials
    second = others[0] if stable and others else None
    words = [f"{first.name} has the highest mean over its seeds, {first.sample}"]
    words += [
        f"it is {_against(first.sample, other.sample, other.name)}"
        for other in (second, reference)
        if other is not None
    ]
    collapsed = [
        f"{each.name} is unstable: {_collapsed(each.sample)}."
        for each in facts.contenders
        if not each.sample.is_stable
    ]
    sentences = [f"{'; '.join(words)}.", *collapsed]
    return (
        f"{' '.join(each[0].upper() + each[1:] for each in sentences)} Small points are seeds, "
        "bars one standard deviation around the mean; the open diamond is what the search saw, "
        "the best of several validations."
    )


def _against(own: Sample, other: Sample, name: str) -> str:
    """Where a mean lies, such as ``0.0123 above trial 5 (64, 32), by more than the noise``."""
    found = difference(own.estimate, other.estimate)
    judged = "by more than the noise" if found.is_above or found.is_below else "within the noise"
    if found.p is None:
        judged = "which one seed cannot tell from noise"
    return f"{abs(found.mean):.4f} {'above' if found.mean >= 0 else 'below'} {name}, {judged}"


def _collapsed(sample: Sample) -> str:
    return f"{sample.collapsed} of {sample.seeds} trainings collapsed"


def _shown(rows: Rows) -> list[float]:
    """The accuracies that the axis must hold: of all trainings that did not collapse."""
    found = [each.value_of_search for each in rows if each.value_of_search is not None]
    for each in rows:
        mean, deviation = each.sample.mean, each.sample.deviation or 0.0
        found += each.sample.values
        found += [mean - deviation, mean + deviation] if mean else []
    return found or [0.0]


def _seeds(rows: Rows, floor: float) -> list[Json]:
    """The seeds as points; one triangle at the left edge for those of a row that collapsed."""
    held, collapsed = [], []
    for row, each in enumerate(rows):
        name, place = draw.plain(each.name), row + SEED_OFFSET
        held += [(value, place, f"{name}<br>one seed: {value:.4f}") for value in each.sample.values]
        if not each.sample.is_stable:
            collapsed.append((floor, place, f"{name}<br>{_collapsed(each.sample)}"))
    at_edge = {"size": 11, "symbol": "triangle-left", "color": FAIL}
    return [
        _marks("one seed", held, {"size": 6, "color": MUTED, "opacity": 0.8}),
        *([_marks("collapsed", collapsed, at_edge)] if collapsed else []),
    ]


def _marks(
    name: str, points: Sequence[tuple[float, float, str]], marker: Json, **more: object
) -> Json:
    """Places across and upward, each with what is shown beside the pointer."""
    return draw.trace(
        name,
        [draw.rounded(value) for value, _, _ in points],
        [place for _, place, _ in points],
        text=[words for _, _, words in points],
        cliponaxis=False,
        marker=marker,
        **more,
    )


def _means(rows: Rows, floor: float) -> list[Json]:
    """A trace a contender: each has the color of its depth. One that collapsed has no mean."""
    traces = []
    for row, each in enumerate(rows):
        depth, sample = depth_of(each.layer_sizes), each.sample
        deviation, color = sample.deviation or 0.0, draw.color_of(depth)
        bars = {
            "type": "data",
            "symmetric": False,
            "array": [draw.rounded(min(deviation, 1 - sample.mean))],
            "arrayminus": [draw.rounded(min(deviation, sample.mean - floor))],
            "color": color,
            "thickness": 2,
            "width": 7,
        }
        point = (sample.mean, row, f"{draw.plain(each.name)}<br>mean {sample}")
        marker = {"size": 12, "symbol": draw.symbol_of(depth), "color": color}
        if sample.is_stable:
            traces.append(
                _marks(_short_name(each), [point], marker, showlegend=False, error_x=bars)
            )
    return traces


def _seen(rows: Rows) -> Json:
    seen = [
        (value, row, f"the search saw {value:.4f}")
        for row, each in enumerate(rows)
        if (value := each.value_of_search) is not None
    ]
    marker = {"size": 11, "symbol": "diamond-open", "color": INK, "line": {"width": 1.6}}
    return _marks("in the search", seen, marker)


AXES: Mapping[str, str] = {
    "parameters": "parameters (both towers)",
    "megabytes": "megabytes (saved)",
    "milliseconds": "milliseconds (a request)",
}
"""What stands at an axis of costs."""


def size_plots(facts: Facts) -> list[Plot]:
    """The value over each further objective, or over the number of parameters, with the front."""
    names = facts.spec.objectives[1:] or ("parameters",)
    return [plot for name in names if (plot := _plot(facts, name)) is not None]


def _plot(facts: Facts, name: str) -> Plot | None:
    """The value over one other objective; None where no trial has it."""
    trials = [trial for trial in facts.compared if trial.reached(name) is not None]
    if not trials:
        return None
    drawn = [*trials, *(trial for trial in facts.diverged if trial.reached(name) is not None)]
    limit = facts.spec.limits.given.get(name)
    places = [trial.reached(name) or 0.0 for trial in drawn] + ([] if limit is None else [limit])
    upward, words = draw.accuracy_window(trials), AXES.get(name, objective_words(name))
    along = draw.log_axis(min(places), max(places))
    if name not in COSTS:
        along, words = {"range": draw.accuracy_range(places)}, f"{words} (validation)"
    return Plot(
        id=f"plot-size-{name.replace('_', '-')}" if facts.has_several else "plot-size",
        label=f"Scatter chart: validation {facts.measure} over {words}",
        caption=_tradeoff_finding(facts, name),
        data=[
            _front(facts, name),
            *draw.scatter(drawn, lambda trial: trial.reached(name), upward[0]),
        ],
        layout=draw.layout(
            words,
            facts.axis,
            xaxis=along,
            yaxis={"range": upward},
            shapes=[] if limit is None else [_line_at(limit)],
        ),
    )


def _front(facts: Facts, name: str) -> Json:
    """The front as steps; of three objectives and more, which steps do not show, as rings."""
    front = sorted(facts.front, key=lambda trial: trial.reached(name) or 0.0)
    shape = "hv" if name in COSTS else "vh"
    steps = {"mode": "lines", "line": {"shape": shape, "color": draw.INK, "width": 1.6}}
    rings = {"marker": {"symbol": "circle-open", "size": 15, "color": draw.INK}}
    return draw.trace(
        "Pareto front",
        [trial.reached(name) for trial in front],
        [trial.value for trial in front],
        text=[draw.hover(trial) for trial in front],
        **(steps if len(facts.spec.objectives) <= 2 else rings),
    )


def _line_at(limit: float) -> Json:
    """A limit of the study."""
    line = {"color": draw.FAIL, "width": 1.2, "dash": "dash"}
    upright = {"type": "line", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    return {**upright, "x0": limit, "x1": limit, "line": line}


def _tradeoff_finding(facts: Facts, name: str) -> str:
    """What the two ends of the front have, and what is drawn."""
    front = facts.front
    if not front:
        return "No complete trial within the limits has all objectives."
    sign = 1.0 if name in COSTS else -1.0
    best, other = front[0], min(front, key=lambda trial: sign * (trial.reached(name) or 0.0))
    words = f"The trial with the highest value, {best.number}, has {_both(best, name)}"
    if other is not best:
        end = "the fastest" if name == "milliseconds" else "the smallest"
        which = end if name in COSTS else f"the best by {objective_words(name)}"
        words += f"; trial {other.number}, {which}, has {_both(other, name)}"
    drawn = "The line joins" if len(facts.spec.objectives) <= 2 else "Rings mark"
    how = "by all objectives" if facts.has_several else "with as few parameters"
    numbers = ", ".join(str(trial.number) for trial in reversed(front))
    limit = " The dashed line is the limit." if name in facts.spec.limits.given else ""
    return (
        f"{words}. {drawn} the trials that none beats {how} (the Pareto front): {numbers}.{limit}"
    )


def _both(trial: TrialRecord, name: str) -> str:
    """Such as ``412,000 parameters and 0.2103``."""
    reached = trial.reached(name) or 0.0
    other = cost_words(name, reached) if name in COSTS else f"{objective_words(name)} {reached:.4f}"
    return f"{other} and {trial.value:.4f}"
