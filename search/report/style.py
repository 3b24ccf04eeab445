"""Axes of pictures: the part that is shown, and where the ticks are."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from search.records.trials import TrialRecord


def duration(seconds: float) -> str:
    """Such as ``3 min 26 s``, ``2 h 5 min``, ``0.4 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def percent(share: float) -> str:
    """Such as ``35.9 %``."""
    return f"{100 * share:.1f} %"


Json = dict[str, Any]

SYMBOLS = ("circle", "square", "triangle-up", "diamond", "cross", "star", "hexagon", "pentagon")
INK, MUTED, GRID, ACCENT, FAIL = "@ink", "@muted", "@grid", "@accent", "@fail"
SEQUENTIAL = ((0.0, "@scale-0"), (0.5, "@scale-1"), (1.0, "@scale-2"))
ACCURACY = "top-100 accuracy (validation)"


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A picture: what Plotly draws, and what it shows in words.

    Attributes:
        id: of its element, unique on the page.
        label: what it is, for those who do not see it.
        caption: what it shows; its finding first.
        data: Plotly's traces.
        layout: Plotly's layout.
        height: in pixels.
        without_webgl: traces and layout where the browser has no WebGL; None where none is needed.
    """

    id: str
    label: str
    caption: str
    data: Sequence[Json]
    layout: Json
    height: int = 420
    without_webgl: tuple[Sequence[Json], Json] | None = None

    @property
    def content(self) -> Json:
        """What the page's script needs of it, as JSON values."""
        content: Json = {"id": self.id, "data": list(self.data), "layout": self.layout}
        if self.without_webgl is not None:
            data, layout = self.without_webgl
            content["fallback"] = {"data": list(data), "layout": layout}
        return content


def layout(x: str, y: str, *, height: int = 420, legend: bool = True, **changes: Any) -> Json:
    """A quiet layout: a grid, no frame, the legend above.

    Args:
        x: title of the axis across; also the other axis's may be empty.
        y: title of the axis upward.
        height: in pixels.
        legend: whether there is one.
        changes: keys of the layout in the place of these, ``xaxis`` and ``yaxis`` merged.
    """
    axes = {
        name: {**_AXIS, "title": {"text": title, "standoff": 8}, **changes.pop(name, {})}
        for name, title in (("xaxis", x), ("yaxis", y))
    }
    return {
        "height": height,
        "margin": {"l": 56, "r": 12, "t": 12, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": INK, "size": 13},
        "hoverlabel": {"bgcolor": "@card", "bordercolor": MUTED, "font": {"color": INK}},
        "hovermode": "closest",
        "showlegend": legend,
        "legend": {
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "font": {"size": 12},
        },
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


def short(value: float) -> str:
    """A number in a few characters, such as ``1.2M``."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def color_of(depth: int) -> str:
    """The color of a number of layers; 0 where it is unknown."""
    return MUTED if depth < 1 else f"@depth-{(depth - 1) % len(SYMBOLS) + 1}"


def symbol_of(depth: int) -> str:
    """The symbol of a number of layers."""
    return SYMBOLS[(depth - 1) % len(SYMBOLS)] if depth else "circle"


def depth_name(depth: int) -> str:
    """Such as ``2 layers``."""
    return "unknown layers" if not depth else f"{depth} layer{'s' if depth > 1 else ''}"


def hover(trial: TrialRecord) -> str:
    """What is shown beside the pointer: a trial's name, settings and outcome."""
    settings = [
        f"embedding {trial.parameters['embedding_dimension']}"
        if "embedding_dimension" in trial.parameters
        else "",
        f"learning rate {trial.parameters['learning_rate']:.3g}"
        if "learning_rate" in trial.parameters
        else "",
    ]
    lines = [
        f"<b>trial {trial.number}</b> {plain(trial.layer_sizes)}",
        ", ".join(filter(None, settings)),
        trial.state + ("" if trial.value is None else f", best {trial.value:.4f}"),
    ]
    return "<br>".join(filter(None, lines))


def plain(text: str) -> str:
    """Text that Plotly shows as it is: it takes some HTML for markup."""
    return html.escape(text, quote=False)


def readable(name: str) -> str:
    """A parameter's name for people."""
    return name.replace("_", " ")


def rounded(value: float | None) -> float | None:
    """A number as a picture needs it: five digits after the point."""
    return None if value is None else round(value, 5)


MOST_TICKS = 8

SHOWN = 3.0
"""An axis of accuracies reaches so many times as far below the best as the better half does."""

LEAST_SHOWN = 0.03
"""An axis of accuracies reaches at least so far below the best."""


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

    Args:
        trials: with values; at least one.
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
