"""The picture of a confirmation: contenders over seeds."""

from collections.abc import Sequence

from search.report.confirmed import ContenderResult
from search.report.facts import Facts
from search.report.findings import confirmation_finding
from search.report.style import INK, MUTED, Json, Plot, color_of, layout, plain, rounded, symbol_of
from search.report.style import depth_name as _depth_name

SEED_OFFSET = 0.22
"""How far above its mean a seed is drawn, in rows."""


def confirmation_plot(facts: Facts) -> Plot | None:
    """Every contender as a row: its seeds, their mean and standard deviation; None without any."""
    if not facts.contenders:
        return None
    rows = list(reversed(facts.contenders))
    height = 130 + 62 * len(rows)
    names = {
        "tickvals": list(range(len(rows))),
        "ticktext": [plain(each.short_name) for each in rows],
        "range": [-0.6, len(rows) - 0.4],
        "gridcolor": "rgba(0,0,0,0)",
        "ticks": "",
    }
    return Plot(
        id="plot-confirmation",
        label="Chart: validation accuracy of every contender over several seeds",
        caption=confirmation_finding(facts),
        data=[_seeds(rows), *_means(rows), _seen(rows)],
        layout=layout("top-100 accuracy (validation)", "", height=height, yaxis=names),
        height=height,
    )


def _seeds(rows: Sequence[ContenderResult]) -> Json:
    points = [
        (value, row + SEED_OFFSET, f"{plain(each.name)}<br>seed {seed}: {value:.4f}")
        for row, each in enumerate(rows)
        for seed, value in enumerate(each.sample.values, start=1)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "one seed",
        "x": [rounded(value) for value, _, _ in points],
        "y": [place for _, place, _ in points],
        "text": [words for _, _, words in points],
        "marker": {"size": 6, "color": MUTED, "opacity": 0.8},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _means(rows: Sequence[ContenderResult]) -> list[Json]:
    """A trace a contender: each has the color of its depth."""
    traces = []
    for row, each in enumerate(rows):
        depth = each.depth
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": _depth_name(depth) if depth else each.short_name,
                "showlegend": False,
                "x": [rounded(each.sample.mean)],
                "y": [row],
                "error_x": {
                    "type": "data",
                    "array": [rounded(each.sample.deviation or 0.0)],
                    "color": color_of(depth),
                    "thickness": 2,
                    "width": 7,
                },
                "text": [f"{plain(each.name)}<br>mean {each.sample}"],
                "marker": {"size": 12, "symbol": symbol_of(depth), "color": color_of(depth)},
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    return traces


def _seen(rows: Sequence[ContenderResult]) -> Json:
    """What the search saw of each trial."""
    seen = [
        (each.value_of_search, row)
        for row, each in enumerate(rows)
        if each.value_of_search is not None
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "in the search",
        "x": [rounded(value) for value, _ in seen],
        "y": [row for _, row in seen],
        "marker": {"size": 11, "symbol": "diamond-open", "color": INK, "line": {"width": 1.6}},
        "hovertemplate": "the search saw %{x:.4f}<extra></extra>",
    }
