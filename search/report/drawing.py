"""What pictures are drawn with: colors, symbols, axes, traces, the words beside the pointer."""

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from search.records.trials import TrialRecord, by_depth, counted, depth_of, parameter_words

Json = dict[str, Any]

# Names of colors, to which the page gives values, light or dark.
INK, MUTED, GRID, ACCENT, FAIL = "@ink", "@muted", "@grid", "@accent", "@fail"
SEQUENTIAL = ((0.0, "@scale-0"), (0.5, "@scale-1"), (1.0, "@scale-2"))
NO_COLOR = "rgba(0,0,0,0)"

SYMBOLS = ("circle", "square", "triangle-up", "diamond", "cross", "star", "hexagon", "pentagon")
BELOW, DIVERGED, INFEASIBLE = "triangle-down-open", "x-thin", "circle-x-open"
"""Symbols: at the lower edge of trials below it and of those that diverged, and of those that are
above a limit of the study."""

MOST_TICKS = 8


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A picture: what it is and what it shows in words, and what Plotly draws."""

    id: str  # of its element, unique on the page
    label: str  # what it is, for those who do not see it
    caption: str  # what it shows: the finding first, then how to read it
    data: Sequence[Json]  # Plotly's traces
    layout: Json  # Plotly's layout
    # traces and layout where the browser has no WebGL; None where none is needed
    without_webgl: tuple[Sequence[Json], Json] | None = None
    title: str = ""  # above it, where several share a section

    @property
    def content(self) -> Json:
        """What the page's script needs of it, as JSON values."""
        content: Json = {"id": self.id, "data": list(self.data), "layout": self.layout}
        if self.without_webgl is not None:
            data, layout = self.without_webgl
            content["fallback"] = {"data": list(data), "layout": layout}
        return content


# --- words ------------------------------------------------------------------------------------


def hover(trial: TrialRecord) -> str:
    """What is shown beside the pointer: a trial's number, settings and outcome."""
    names = list(trial.parameters)
    of_layers = [name for name in names if "width" in name]
    settings = (
        parameter_words({name: trial.parameters[name] for name in several})
        for several in (of_layers, [name for name in names if name not in of_layers])
    )
    outcome = trial.state + ("" if trial.value is None else f", best {trial.value:.4f}")
    limit = trial.infeasible and f"infeasible: {trial.infeasible}"
    return "<br>".join(filter(None, (f"<b>trial {trial.number}</b>", *settings, outcome, limit)))


def plain(text: str) -> str:
    """Text that Plotly shows as it is: it takes some HTML for markup."""
    return html.escape(text, quote=False)


def depth_name(depth: int) -> str:
    """Such as ``2 layers``."""
    return counted(depth, "layer") if depth else "unknown layers"


def short(value: float) -> str:
    """A number in a few characters, such as ``1.2M``."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def rounded(value: float | None) -> float | None:
    """A number as a picture needs it: five digits after the point."""
    return None if value is None else round(value, 5)


# --- axes -------------------------------------------------------------------------------------


def layout(x: str, y: str, *, height: int = 420, legend: bool = True, **changes: Any) -> Json:
    """A quiet layout: a grid, no frame, the legend above; ``xaxis`` and ``yaxis`` are merged.

    ``x`` and ``y`` are the titles of the axes; ``height`` is in pixels.
    """
    axes = {
        name: {**_AXIS, "title": {"text": title, "standoff": 8}, **changes.pop(name, {})}
        for name, title in (("xaxis", x), ("yaxis", y))
    }
    above = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 12}}
    return {
        "height": height,
        "margin": {"l": 56, "r": 12, "t": 12, "b": 48},
        "paper_bgcolor": NO_COLOR,
        "plot_bgcolor": NO_COLOR,
        "font": {"color": INK, "size": 13},
        "hoverlabel": {"bgcolor": "@card", "bordercolor": MUTED, "font": {"color": INK}},
        "hovermode": "closest",
        "showlegend": legend,
        "legend": above,
        **axes,
        **changes,
    }


_AXIS: Mapping[str, Any] = {
    "gridcolor": GRID,
    "linecolor": MUTED,
    "zeroline": False,
    "ticks": "outside",
    "tickcolor": GRID,
    "automargin": True,
}

SHOWN = 3.0
"""An axis of accuracies reaches so many times as far below the best as the better half does."""

LEAST_SHOWN = 0.03  # an axis of accuracies reaches at least so far below the best


def accuracy_range(values: Sequence[float]) -> list[float]:
    """The ends of an axis that shows all these accuracies, somewhat apart, within 0 and 1."""
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.01
    # Rounded as points are, so that those at an edge are not beyond it.
    return [round(max(0.0, low - margin), 5), round(min(1.0, high + margin), 5)]


def accuracy_window(trials: Sequence[TrialRecord]) -> list[float]:
    """The ends of an axis on which the good trials can be told apart, whatever the bad ones have.

    The better half of the complete trials (of all, if none is complete) takes a third of it or
    more; what lies below is drawn at its edge.
    """
    values = [trial.value or 0.0 for trial in trials]
    complete = [trial.value or 0.0 for trial in trials if trial.state == "complete"]
    high = max(values)
    reach = max(SHOWN * (high - median(complete or values)), LEAST_SHOWN)
    return accuracy_range([max(min(values), high - reach), high])


def whole_ticks(low: float, high: float) -> Json:
    """Ticks at whole numbers alone, few enough to be read: 1, 2 or 5 times a power of ten apart."""
    least = max((high - low) / MOST_TICKS, 1.0)
    power = 10.0 ** math.floor(math.log10(least))
    return {
        "tick0": 0,
        "dtick": next(step * power for step in (1, 2, 5, 10) if step * power >= least),
    }


def log_axis(low: float, high: float, *, powers_of_two: bool = False) -> Json:
    """A logarithmic axis from somewhat below ``low`` to somewhat above ``high``, both positive."""
    ends = [math.log10(low), math.log10(high)]
    margin = 0.06 * (ends[1] - ends[0]) or 0.1
    axis: Json = {"type": "log", "range": [ends[0] - margin, ends[1] + margin]}
    if powers_of_two:
        ticks = [2**n for n in range(round(math.log2(low)), round(math.log2(high)) + 1)]
        return axis | {"tickvals": ticks, "ticktext": [str(tick) for tick in ticks]}
    steps = [
        step * 10.0**n
        for n in range(math.floor(ends[0]), math.ceil(ends[1]) + 1)
        for step in ((1, 2, 5) if ends[1] - ends[0] < 1.5 else (1,))
    ]
    shown = [tick for tick in steps if low <= tick <= high]
    shown = shown if len(shown) > 1 else sorted({low, high})
    return axis | {"tickvals": shown, "ticktext": [short(tick) for tick in shown]}


# --- traces -----------------------------------------------------------------------------------


def color_of(depth: int) -> str:
    """The color of a number of layers; 0 where it is unknown."""
    return MUTED if depth < 1 else f"@depth-{(depth - 1) % len(SYMBOLS) + 1}"


def symbol_of(depth: int) -> str:
    """The symbol of a number of layers."""
    return SYMBOLS[(depth - 1) % len(SYMBOLS)] if depth else "circle"


def trace(name: str, x: Iterable[Any], y: Iterable[float | None], **more: Any) -> Json:
    """Points, or lines with ``mode``; beside the pointer is their ``text``."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(x),
        "y": [rounded(value) for value in y],
        "hovertemplate": "%{text}<extra></extra>",
        **more,
    }


def with_gaps(lines: Iterable[Iterable[Any]]) -> list[Any]:
    """Many lines as one: nothing is drawn over a None."""
    return [each for line in lines for each in (*line, None)]


OfTrial = Callable[[TrialRecord], float | None]


def trial_points(
    name: str,
    trials: Sequence[TrialRecord],
    x_of: OfTrial,
    y_of: OfTrial,
    edge: float,
    marker: Json,
    **more: Any,
) -> list[Json]:
    """A point a trial, its edge as wide as said and in the color of its marker; none of none."""
    if not trials:
        return []
    text = [hover(trial) for trial in trials]
    look = {**marker, "line": {"width": edge, "color": marker["color"]}}
    x, y = map(x_of, trials), map(y_of, trials)
    return [trace(name, x, y, text=text, cliponaxis=False, marker=look, **more)]


def scatter(
    trials: Sequence[TrialRecord],
    x_of: OfTrial,
    floor: float,
    *,
    legend: bool = True,
    size: int = 9,
) -> list[Json]:
    """The values of finished trials over something: filled if complete, open if pruned.

    There is a trace a depth and state. Trials below the lower edge, ``floor``, are drawn at it, as
    are those that diverged; what points there show beside the pointer is their own value. Those
    above a limit of the study are crossed out.
    """
    infeasible = [trial for trial in trials if trial.infeasible and trial.value is not None]
    healthy = [t for t in trials if t.state != "diverged" and t not in infeasible]
    inside = [trial for trial in healthy if (trial.value or 0.0) >= floor]
    below = [trial for trial in healthy if (trial.value or 0.0) < floor]
    diverged = [trial for trial in trials if trial.state == "diverged"]
    traces: list[Json] = []
    for depth, alike in by_depth(inside).items():
        complete, pruned = in_state(alike, "complete"), in_state(alike, "pruned")
        marker = {"size": size, "color": color_of(depth), "opacity": 0.9}
        for chosen, edge, kind, named in (
            (complete, 0.0, "", legend),
            (pruned, 1.6, "-open", legend and not complete),
        ):
            traces += trial_points(
                depth_name(depth),
                chosen,
                x_of,
                lambda trial: trial.value,
                edge,
                {**marker, "symbol": symbol_of(depth) + kind},
                legendgroup=depth_name(depth),
                showlegend=named,
            )
    if legend and in_state(inside, "pruned"):
        key = {"symbol": "circle-open", "size": 9, "color": INK}
        traces.append(trace("open: pruned", [None], [None], marker=key))
    depths = [color_of(depth_of(trial.layer_sizes)) for trial in below]
    for name, chosen, symbol, color, edge in (
        ("below the axis", below, BELOW, depths, 1.2),
        ("diverged", diverged, DIVERGED, FAIL, 1.8),
    ):
        marker = {"symbol": symbol, "size": size, "color": color}
        traces += trial_points(name, chosen, x_of, lambda _: floor, edge, marker, showlegend=legend)
    return traces + trial_points(
        "infeasible",
        infeasible,
        x_of,
        lambda trial: max(trial.value or 0.0, floor),
        1.2,
        {"symbol": INFEASIBLE, "size": size, "color": MUTED},
        showlegend=legend,
    )


def in_state(trials: Iterable[TrialRecord], state: str) -> list[TrialRecord]:
    """Those of the trials that stand so."""
    return [trial for trial in trials if trial.state == state]
