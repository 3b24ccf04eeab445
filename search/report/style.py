"""How pictures look: one color, symbol and dash for each meaning, the same in all of them.

A color is a name such as ``@depth-2``; the page gives it a value, light or dark. Depth is told by
color and symbol, a pruned trial by an open symbol and a dotted line: never by color alone.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.trials import TrialRecord

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
