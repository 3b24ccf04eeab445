"""The picture of a confirmation: contenders over seeds."""

from collections.abc import Sequence

from search.analysis.noise import Sample, difference
from search.records.trials import depth_of
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
