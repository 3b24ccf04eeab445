"""Pictures of trials, drawn from their records with Matplotlib's object interface.

No ``pyplot``: it keeps every figure alive and chooses a display. The pictures are meant to be
read in a list of runs, so they are small (a few tens of kilobytes) and quick to draw.
"""

import io
import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, LogLocator, MaxNLocator, NullLocator

from search.depths import best_by_depth
from search.trials import CurvePoint, TrialRecord

ACCURACY = "val_top_100_accuracy"
_BLUE, _ORANGE, _GREEN, _VIOLET = "#2a6fbb", "#d9622b", "#1d9a6c", "#6d4bb0"
_INK, _FAINT = "#3a3a3a", "#8a8a8a"
_DEPTH_STYLES = ((_BLUE, "o"), (_ORANGE, "s"), (_GREEN, "^"), (_VIOLET, "D"))
_LOSSES = (("train_loss", "training", _ORANGE, ""), ("val_loss", "validation", _VIOLET, "o"))
_LOG_SCALE_FROM = 30.0  # a loss that falls by more than this factor is unreadable on a linear axis


def curves_png(trial: TrialRecord) -> bytes:
    """The learning curves of one trial: accuracy on the left, losses on the right.

    The best epoch carries its value; the epoch a pruner stopped at is a dashed line.

    Args:
        trial: any trial; one without epochs gives a picture that says so.

    Returns:
        A PNG of 700 x 300 pixels.
    """
    figure = _figure(7.0, 3.0)
    _title(figure, _trial_title(trial))
    if not trial.curve:
        _say(figure, "no epoch was finished")
        return _png(figure)
    accuracy = figure.add_axes((0.1, 0.17, 0.375, 0.69))
    losses = figure.add_axes((0.6, 0.17, 0.375, 0.69))
    _draw_accuracy(accuracy, trial)
    _draw_losses(losses, trial.curve)
    for axes in (accuracy, losses):
        _finish_epoch_axis(axes, trial.curve[-1].epoch)
        _mark_pruned(axes, trial.pruned_at_epoch, labeled=axes is accuracy)
    return _png(figure)


def best_by_depth_png(trials: Iterable[TrialRecord]) -> bytes:
    """Accuracy by epoch of the best trial of each depth.

    Complete trials are preferred; a depth that has only pruned ones is drawn dashed.

    Args:
        trials: all trials of a study; those without accuracy or layers are left out.

    Returns:
        A PNG of 700 x 420 pixels.
    """
    figure = _figure(7.0, 4.2)
    _title(figure, "Best trial of each depth")
    best = best_by_depth(trials)
    if not best:
        _say(figure, "no trial has an accuracy yet")
        return _png(figure)
    axes = figure.add_axes((0.09, 0.12, 0.89, 0.79))
    for depth, trial in best.items():
        _draw_depth(axes, depth, trial)
    _label(axes, "top-100 accuracy (validation)")
    _finish_epoch_axis(axes, max(trial.curve[-1].epoch for trial in best.values()))
    axes.legend(loc="lower right", fontsize=9, frameon=False)
    return _png(figure)


def _series(curve: Sequence[CurvePoint], metric: str) -> tuple[list[int], list[float]]:
    """Epochs and values of one metric, without epochs that lack it or where it is not finite."""
    points = [
        (point.epoch, point.metrics[metric])
        for point in curve
        if metric in point.metrics and math.isfinite(point.metrics[metric])
    ]
    return [epoch for epoch, _ in points], [value for _, value in points]


def _trial_title(trial: TrialRecord) -> str:
    name = f"Trial {trial.number:03d} {trial.layer_sizes}".rstrip()
    return f"{name}: {trial.state}" + ("" if trial.value is None else f", best {trial.value:.4f}")


def _draw_accuracy(axes: Axes, trial: TrialRecord) -> None:
    epochs, values = _series(trial.curve, ACCURACY)
    axes.plot(epochs, values, color=_BLUE, marker="o", markersize=4, linewidth=1.8)
    if values:
        best = max(range(len(values)), key=values.__getitem__)
        axes.plot(epochs[best], values[best], "o", color=_BLUE, markersize=8)
        axes.annotate(
            f"{values[best]:.3f}",
            (epochs[best], values[best]),
            xytext=(-3, 7),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=_INK,
        )
        axes.set_ylim(0, max(0.01, 1.18 * values[best]))
    _label(axes, "top-100 accuracy (validation)")


def _draw_losses(axes: Axes, curve: Sequence[CurvePoint]) -> None:
    drawn: list[float] = []
    for row, (metric, name, color, marker) in enumerate(_LOSSES):
        epochs, values = _series(curve, metric)
        if values:
            alone = "o" if len(values) == 1 else marker
            axes.plot(epochs, values, color=color, marker=alone, markersize=4, linewidth=1.8)
            _name_line(axes, row, name, color)
            drawn += values
    if drawn and min(drawn) > 0 and max(drawn) / min(drawn) > _LOG_SCALE_FROM:
        axes.set_yscale("log")
    _label(axes, "loss")


def _name_line(axes: Axes, row: int, name: str, color: str) -> None:
    """A line's name in its color, in the upper right corner; a legend would cost 10 ms."""
    axes.text(
        0.96,
        0.97 - 0.09 * row,
        name,
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=9,
        color=color,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )


def _draw_depth(axes: Axes, depth: int, trial: TrialRecord) -> None:
    color, marker = _DEPTH_STYLES[(depth - 1) % len(_DEPTH_STYLES)]
    epochs, values = _series(trial.curve, ACCURACY)
    complete = trial.state == "complete"
    outcome = "" if complete else f", pruned at epoch {trial.pruned_at_epoch}"
    axes.plot(
        epochs,
        values,
        color=color,
        marker=marker,
        markersize=5,
        linewidth=1.8,
        linestyle="-" if complete else "--",
        label=f"{trial.layer_sizes}: {max(values):.3f} (trial {trial.number}{outcome})",
    )


def _mark_pruned(axes: Axes, epoch: int | None, *, labeled: bool) -> None:
    if epoch is None:
        return
    axes.axvline(epoch, color=_FAINT, linewidth=1.2, linestyle="--", zorder=0)
    if labeled:
        axes.text(
            epoch,
            0.03,
            f"pruned at epoch {epoch} ",
            transform=axes.get_xaxis_transform(),
            ha="right",
            fontsize=8,
            color=_INK,
        )


def _finish_epoch_axis(axes: Axes, last: int) -> None:
    """Whole epochs from 0, few ticks (each costs a millisecond), a quiet grid."""
    axes.set_xlim(0, last + max(0.5, last * 0.05))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    if axes.get_yscale() == "log":
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(LogFormatter(minor_thresholds=(math.inf, math.inf)))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(visible=True, axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=_INK, length=3)
    axes.spines[["top", "right"]].set_visible(False)


def _label(axes: Axes, y: str) -> None:
    axes.set_xlabel("epoch", fontsize=9, color=_INK)
    axes.set_ylabel(y, fontsize=9, color=_INK)


def _figure(width: float, height: float) -> Figure:
    """An empty figure, its size given in hundreds of pixels."""
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _title(figure: Figure, text: str) -> None:
    figure.text(0.5, 0.985, text, ha="center", va="top", fontsize=10, color=_INK, parse_math=False)


def _say(figure: Figure, text: str) -> None:
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=11, color=_FAINT)


def _png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
