"""Pictures of how the accuracy went: epoch by epoch in every trial, trial by trial in the study."""

import math
from collections.abc import Iterable, Sequence

from search.records.trials import (
    FINISHED_STATES,
    OBJECTIVE_METRIC,
    TrialRecord,
    best_by_depth,
    by_depth,
    depth_of,
)
from search.report.facts import Facts
from search.report.findings import curves_finding, history_finding
from search.report.scatter import DIVERGED, scatter
from search.report.style import (
    ACCURACY,
    FAIL,
    INK,
    MUTED,
    Json,
    Plot,
    accuracy_range,
    accuracy_window,
    color_of,
    depth_name,
    hover,
    layout,
    rounded,
    symbol_of,
    whole_ticks,
)

FAINT = 0.38


def curves_plot(facts: Facts) -> Plot | None:
    """Accuracy by epoch of every finished trial, the best of each depth on top.

    All trials of one depth and state are one trace with gaps, however many there are.

    Returns:
        None where no trial was validated.
    """
    finished = [trial for trial in facts.finished if _points(trial)]
    if not finished:
        return None
    traces = [
        *_every_curve(finished),
        *_best_curves(finished),
        *_end_marks(finished),
        *_diverged_marks(facts.diverged),
    ]
    last = max(trial.curve[-1].epoch for trial in facts.finished if trial.curve)
    reached = [value for trial in finished for _, value in _points(trial)]
    drawn = layout(
        "epoch",
        ACCURACY,
        height=480,
        xaxis={"range": [0, 1.03 * last], **whole_ticks(0, last)},
        yaxis={"range": accuracy_range([0.0, *reached])},
    )
    return Plot(
        id="plot-curves",
        label="Line chart: validation accuracy by epoch of every finished trial",
        caption=curves_finding(finished, [trial for trial in facts.diverged if trial.curve]),
        data=traces,
        layout=drawn,
        height=480,
    )


def _points(trial: TrialRecord) -> list[tuple[int, float]]:
    """Epochs and accuracies of the validations."""
    return [
        (point.epoch, point.metrics[OBJECTIVE_METRIC])
        for point in trial.curve
        if math.isfinite(point.metrics.get(OBJECTIVE_METRIC, math.nan))
    ]


def _every_curve(trials: Sequence[TrialRecord]) -> Iterable[Json]:
    for depth, alike in by_depth(trials).items():
        for state in FINISHED_STATES:
            chosen = [trial for trial in alike if trial.state == state]
            if chosen:
                yield _grouped(chosen, depth, dotted=state != "complete")


def _grouped(trials: Sequence[TrialRecord], depth: int, *, dotted: bool) -> Json:
    """Many curves as one trace; nothing is drawn over a gap."""
    x: list[int | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for trial in trials:
        points = _points(trial)
        x += [*(epoch for epoch, _ in points), None]
        y += [*(rounded(value) for _, value in points), None]
        numbers += [*(trial.number for _ in points), None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": depth_name(depth),
        "legendgroup": depth_name(depth),
        "showlegend": False,
        "x": x,
        "y": y,
        "customdata": numbers,
        "opacity": FAINT,
        "line": {"color": color_of(depth), "width": 1.2, "dash": "dot" if dotted else "solid"},
        "hovertemplate": "trial %{customdata}<br>epoch %{x}: %{y:.4f}<extra></extra>",
    }


def _end_marks(trials: Sequence[TrialRecord]) -> Iterable[Json]:
    """A cross where a pruned trial was given up."""
    pruned = [trial for trial in trials if trial.state == "pruned"]
    if not pruned:
        return
    ends = [_points(trial)[-1] for trial in pruned]
    colors = [color_of(depth_of(trial.layer_sizes)) for trial in pruned]
    yield {
        "type": "scatter",
        "mode": "markers",
        "name": "pruned here",
        "x": [epoch for epoch, _ in ends],
        "y": [rounded(value) for _, value in ends],
        "text": [hover(trial) for trial in pruned],
        "marker": {
            "symbol": "x-thin",
            "size": 8,
            "line": {"width": 1.6, "color": colors},
            "color": MUTED,
        },
        "hovertemplate": "%{text}<br>given up after epoch %{x}<extra></extra>",
    }


def _diverged_marks(trials: Sequence[TrialRecord]) -> Iterable[Json]:
    """A red cross in the epoch in which a trial diverged, at its last accuracy, or at the foot."""
    ended = [trial for trial in trials if trial.curve]
    if ended:
        yield {
            "type": "scatter",
            "mode": "markers",
            "name": "diverged here",
            "x": [trial.curve[-1].epoch for trial in ended],
            "y": [rounded(_points(trial)[-1][1]) if _points(trial) else 0.0 for trial in ended],
            "text": [hover(trial) for trial in ended],
            "cliponaxis": False,
            "marker": {
                "symbol": DIVERGED,
                "size": 9,
                "color": FAIL,
                "line": {"width": 1.8, "color": FAIL},
            },
            "hovertemplate": "%{text}<br>in epoch %{x}<extra></extra>",
        }


def _best_curves(trials: Sequence[TrialRecord]) -> Iterable[Json]:
    for depth, trial in best_by_depth(trials).items():
        points = _points(trial)
        yield {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"best of {depth_name(depth)}",
            "legendgroup": depth_name(depth),
            "x": [epoch for epoch, _ in points],
            "y": [rounded(value) for _, value in points],
            "text": [hover(trial)] * len(points),
            "line": {
                "color": color_of(depth),
                "width": 3,
                "dash": "solid" if trial.state == "complete" else "dot",
            },
            "marker": {"symbol": symbol_of(depth), "size": 8, "color": color_of(depth)},
            "hovertemplate": "%{text}<br>epoch %{x}: %{y:.4f}<extra></extra>",
        }


def history_plot(facts: Facts) -> Plot | None:
    """The value of every trial in the order of their numbers, and the best so far.

    Returns:
        None where no trial has a value.
    """
    valued = facts.compared
    if not valued:
        return None
    upward = accuracy_window(valued)
    traces = [
        *scatter([*valued, *facts.diverged], lambda trial: trial.number, floor=upward[0]),
        *_failures(facts.trials, upward[0]),
    ]
    last = facts.trials[-1].number
    margin = 0.6 + 0.02 * last
    return Plot(
        id="plot-history",
        label="Scatter chart: value of every trial by its number, with the best so far",
        caption=history_finding(facts),
        data=[_running_best(facts.trials), *traces],
        layout=layout(
            "trial",
            ACCURACY,
            xaxis={"range": [-margin, last + margin], **whole_ticks(0, last)},
            yaxis={"range": upward},
        ),
    )


def _running_best(trials: Sequence[TrialRecord]) -> Json:
    best, x, y = -math.inf, [], []
    for trial in trials:
        if trial.state == "complete" and (trial.value or 0.0) > best:
            best = trial.value or 0.0
            x.append(trial.number)
            y.append(rounded(best))
    if x and x[-1] != trials[-1].number:
        x.append(trials[-1].number)
        y.append(y[-1])
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": x,
        "y": y,
        "line": {"shape": "hv", "color": INK, "width": 1.6},
        "hovertemplate": "best so far: %{y:.4f}<extra></extra>",
    }


def _failures(trials: Sequence[TrialRecord], level: float) -> Iterable[Json]:
    """Trials without a result, at the foot of the picture."""
    for state, symbol in (("failed", "triangle-down"), ("interrupted", "line-ns")):
        chosen = [trial for trial in trials if trial.state == state]
        if chosen:
            yield {
                "type": "scatter",
                "mode": "markers",
                "name": state,
                "x": [trial.number for trial in chosen],
                "y": [rounded(level)] * len(chosen),
                "text": [hover(trial) for trial in chosen],
                "cliponaxis": False,
                "marker": {
                    "symbol": symbol,
                    "size": 10,
                    "color": FAIL if state == "failed" else MUTED,
                    "line": {"width": 1.5, "color": FAIL if state == "failed" else MUTED},
                },
                "hovertemplate": "%{text}<extra></extra>",
            }
