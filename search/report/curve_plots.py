"""Pictures of how the accuracy went: epoch by epoch in every trial, trial by trial in the study."""

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from search.records.trials import (
    FINISHED_STATES,
    TrialRecord,
    best_by_depth,
    by_depth,
    counted,
    depth_of,
    objective_of,
    ranked,
)
from search.report import drawing as draw
from search.report.drawing import FAIL, INK, MUTED, Json, Plot, in_state
from search.report.facts import Facts


def curves_plot(facts: Facts) -> Plot | None:
    """Accuracy by epoch of every finished trial; None where no trial was validated.

    All trials of one depth and state are one trace with gaps, however many there are; the best
    of each depth is on top.
    """
    finished = [trial for trial in facts.finished if _points(trial)]
    if not finished:
        return None
    diverged = [trial for trial in facts.diverged if trial.curve]
    pruned = in_state(finished, "pruned")
    colors = [draw.color_of(depth_of(trial.layer_sizes)) for trial in pruned]
    last = max(trial.curve[-1].epoch for trial in facts.finished if trial.curve)
    reached = [value for trial in finished for _, value in _points(trial)]
    return Plot(
        id="plot-curves",
        label=f"Line chart: validation {facts.measure} by epoch of every finished trial",
        caption=_curves_finding(finished, diverged),
        data=[
            *_every_curve(finished),
            *_best_curves(finished),
            *draw.trial_points(
                "pruned here",
                pruned,
                lambda trial: _points(trial)[-1][0],
                lambda trial: _points(trial)[-1][1],
                1.6,
                {"symbol": "x-thin", "size": 8, "color": colors},
                hovertemplate="%{text}<br>given up after epoch %{x}<extra></extra>",
            ),
            *draw.trial_points(  # at the last accuracy, or at the foot
                "diverged here",
                diverged,
                lambda trial: trial.curve[-1].epoch,
                lambda trial: _points(trial)[-1][1] if _points(trial) else 0.0,
                1.8,
                {"symbol": draw.DIVERGED, "size": 9, "color": FAIL},
                hovertemplate="%{text}<br>in epoch %{x}<extra></extra>",
            ),
        ],
        layout=draw.layout(
            "epoch",
            facts.axis,
            height=480,
            xaxis={"range": [0, 1.03 * last], **draw.whole_ticks(0, last)},
            yaxis={"range": draw.accuracy_range([0.0, *reached])},
        ),
    )


def _curves_finding(trials: Sequence[TrialRecord], diverged: Sequence[TrialRecord]) -> str:
    """Which depth goes highest, and when the others were cut."""
    best = sorted(best_by_depth(trials).items(), key=lambda item: -(item[1].value or 0.0))
    reached = ", ".join(
        f"{draw.depth_name(depth)} {trial.value:.4f} (trial {trial.number})"
        for depth, trial in best
    )
    words = f"The best trial of each depth reaches: {reached}."
    pruned = [trial.pruned_at_epoch for trial in trials if trial.pruned_at_epoch]
    if pruned:
        words += (
            f" {counted(len(pruned), 'trial')} {'was' if len(pruned) == 1 else 'were'} "
            f"pruned, half of them by epoch {median(pruned):g}: dotted lines that end in a cross."
        )
    if diverged:
        words += (
            f" {counted(len(diverged), 'trial')} diverged: red crosses, at the foot where "
            "the training was never validated."
        )
    return words + " The thick line is the best trial of its depth."


def _points(trial: TrialRecord) -> list[tuple[int, float]]:
    return [
        (point.epoch, value)
        for point in trial.curve
        if (value := objective_of(point.metrics)) is not None and math.isfinite(value)
    ]


def _every_curve(trials: Sequence[TrialRecord]) -> list[Json]:
    return [
        _curves(
            draw.depth_name(depth),
            depth,
            chosen,
            lambda trial: f"trial {trial.number}",
            mode="lines",
            width=1.2,
            showlegend=False,
            opacity=0.38,
        )
        for depth, alike in by_depth(trials).items()
        for state in FINISHED_STATES
        if (chosen := in_state(alike, state))
    ]


def _best_curves(trials: Sequence[TrialRecord]) -> list[Json]:
    return [
        _curves(
            f"best of {draw.depth_name(depth)}",
            depth,
            [trial],
            draw.hover,
            mode="lines+markers",
            width=3,
            marker={"symbol": draw.symbol_of(depth), "size": 8, "color": draw.color_of(depth)},
        )
        for depth, trial in best_by_depth(trials).items()
    ]


def _curves(
    name: str,
    depth: int,
    trials: Sequence[TrialRecord],
    words_of: Callable[[TrialRecord], str],
    width: float,
    **more: Any,
) -> Json:
    """The curves of trials of one depth and state as one trace."""
    points = [_points(trial) for trial in trials]
    dash = "solid" if trials[0].state == "complete" else "dot"
    return draw.trace(
        name,
        draw.with_gaps([epoch for epoch, _ in each] for each in points),
        draw.with_gaps([value for _, value in each] for each in points),
        text=draw.with_gaps(
            [words_of(trial)] * len(each) for trial, each in zip(trials, points, strict=True)
        ),
        legendgroup=draw.depth_name(depth),
        line={"color": draw.color_of(depth), "width": width, "dash": dash},
        hovertemplate="%{text}<br>epoch %{x}: %{y:.4f}<extra></extra>",
        **more,
    )


def history_plot(facts: Facts) -> Plot | None:
    """The value of every trial in the order of their numbers; None where no trial has a value."""
    valued = facts.compared
    if not valued:
        return None
    upward = draw.accuracy_window(valued)
    last = facts.trials[-1].number
    margin = 0.6 + 0.02 * last
    failures = (("failed", "triangle-down", FAIL), ("interrupted", "line-ns", MUTED))
    return Plot(
        id="plot-history",
        label="Scatter chart: value of every trial by its number, with the best so far",
        caption=_history_finding(facts),
        data=[
            _running_best(facts.trials),
            *draw.scatter([*valued, *facts.diverged], lambda trial: trial.number, upward[0]),
            *(
                mark
                for state, symbol, color in failures
                for mark in draw.trial_points(
                    state,
                    in_state(facts.trials, state),
                    lambda trial: trial.number,
                    lambda _: upward[0],
                    1.5,
                    {"symbol": symbol, "size": 10, "color": color},
                )
            ),
        ],
        layout=draw.layout(
            "trial",
            facts.axis,
            xaxis={"range": [-margin, last + margin], **draw.whole_ticks(0, last)},
            yaxis={"range": upward},
        ),
    )


def _history_finding(facts: Facts) -> str:
    """When the best was found, and how long nothing better came."""
    best = facts.best
    if best is None:
        return "No trial is complete, so there is no best one."
    after = sum(
        trial.number > best.number and trial.is_finished and trial.infeasible is None
        for trial in facts.trials
    )
    since = ", the last one: more trials may find better."
    if after:
        since = f"; {counted(after, 'finished trial')} after it did not reach it."
    return (
        f"The highest single value, {best.value:.4f}, came with trial {best.number}{since} The "
        "line is the best complete trial so far."
    )


def _running_best(trials: Sequence[TrialRecord]) -> Json:
    steps: list[tuple[int, float]] = []
    for trial in sorted(ranked(trials), key=lambda trial: trial.number):
        if not steps or (trial.value or 0.0) > steps[-1][1]:
            steps.append((trial.number, trial.value or 0.0))
    if steps and steps[-1][0] != trials[-1].number:
        steps.append((trials[-1].number, steps[-1][1]))
    return draw.trace(
        "best so far",
        [number for number, _ in steps],
        [value for _, value in steps],
        mode="lines",
        line={"shape": "hv", "color": INK, "width": 1.6},
        hovertemplate="best so far: %{y:.4f}<extra></extra>",
    )
