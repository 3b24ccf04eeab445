"""The picture of a confirmation: contenders over seeds."""

from collections.abc import Iterable, Sequence

from search.report.confirmed import ContenderResult
from search.report.facts import Facts
from search.report.findings import confirmation_finding
from search.report.style import (
    ACCURACY,
    FAIL,
    INK,
    MUTED,
    Json,
    Plot,
    accuracy_range,
    color_of,
    layout,
    plain,
    rounded,
    symbol_of,
)

SEED_OFFSET = 0.22
"""How far above its mean a seed is drawn, in rows."""


def confirmation_plot(facts: Facts) -> Plot | None:
    """Every contender as a row: its seeds, their mean and standard deviation; None without any.

    What collapsed is drawn at the left edge, so that the others can be told apart.
    """
    if not facts.contenders:
        return None
    rows = list(reversed(facts.contenders))
    height = 130 + 62 * len(rows)
    across = accuracy_range(_shown(rows))
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
        data=[*_seeds(rows, across[0]), *_means(rows, across[0]), _seen(rows)],
        layout=layout(ACCURACY, "", height=height, xaxis={"range": across}, yaxis=names),
        height=height,
    )


def _shown(rows: Sequence[ContenderResult]) -> list[float]:
    """The accuracies that the axis must hold: of all trainings that did not collapse."""
    deviations = [(each.sample.mean, each.sample.deviation or 0.0) for each in rows]
    return [
        *(value for each in rows for value in each.sample.values),
        *(
            end
            for mean, deviation in deviations
            for end in (mean - deviation, mean + deviation)
            if mean
        ),
        *(each.value_of_search for each in rows if each.value_of_search is not None),
    ] or [0.0]


def _seeds(rows: Sequence[ContenderResult], floor: float) -> Iterable[Json]:
    """The seeds as points; one triangle at the left edge for those of a row that collapsed."""
    held = [
        (value, row + SEED_OFFSET, f"{plain(each.name)}<br>one seed: {value:.4f}")
        for row, each in enumerate(rows)
        for value in each.sample.values
    ]
    collapsed = [
        (
            floor,
            row + SEED_OFFSET,
            f"{plain(each.name)}<br>{each.sample.collapsed} of {each.sample.seeds} trainings "
            "collapsed",
        )
        for row, each in enumerate(rows)
        if each.is_unstable
    ]
    yield _trace("one seed", held, {"size": 6, "color": MUTED, "opacity": 0.8})
    if collapsed:
        yield _trace("collapsed", collapsed, {"size": 11, "symbol": "triangle-left", "color": FAIL})


def _trace(name: str, points: Sequence[tuple[float, float, str]], marker: Json) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [rounded(value) for value, _, _ in points],
        "y": [place for _, place, _ in points],
        "text": [words for _, _, words in points],
        "cliponaxis": False,
        "marker": marker,
        "hovertemplate": "%{text}<extra></extra>",
    }


def _means(rows: Sequence[ContenderResult], floor: float) -> list[Json]:
    """A trace a contender: each has the color of its depth. One that collapsed has no mean."""
    traces = []
    for row, each in enumerate(rows):
        if each.is_unstable:
            continue
        depth = each.depth
        deviation = each.sample.deviation or 0.0
        words = f"{plain(each.name)}<br>mean {each.sample}"
        marker = {"size": 12, "symbol": symbol_of(depth), "color": color_of(depth)}
        traces.append(
            {
                **_trace(each.short_name, [(each.sample.mean, row, words)], marker),
                "showlegend": False,
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [rounded(min(deviation, 1 - each.sample.mean))],
                    "arrayminus": [rounded(min(deviation, each.sample.mean - floor))],
                    "color": color_of(depth),
                    "thickness": 2,
                    "width": 7,
                },
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
