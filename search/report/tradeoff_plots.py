"""Pictures of quality against cost: the value over another objective, and the Pareto front."""

from collections.abc import Mapping

from search.records.costs import COSTS, cost_words
from search.records.trials import TrialRecord, objective_words
from search.report import drawing as draw
from search.report.drawing import Json, Plot
from search.report.facts import Facts

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
        caption=_finding(facts, name),
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


def _finding(facts: Facts, name: str) -> str:
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
