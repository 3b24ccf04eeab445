"""Pictures: PNG files of the promised size that show what the records say."""

import io
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import search.figures
from search.figures import best_by_depth_png, curves_png
from search.trials import CurvePoint, TrialRecord
from tests.unit.search.records import START_MS, curve, trial

SMALL = 60_000  # bytes


def size_of(png: bytes) -> tuple[int, int]:
    height, width = matplotlib.image.imread(io.BytesIO(png)).shape[:2]
    return width, height


class DrawnFigures:
    """Keeps the figures that are turned into pictures, to look at what was drawn."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []

    def __call__(self, figure: Figure) -> bytes:
        """Keep a figure in place of making a picture of it."""
        self.figures.append(figure)
        figure.canvas.draw()
        return b""

    def texts(self) -> str:
        """All text of the last figure."""
        return "\n".join(
            text.get_text()
            for text in self.figures[-1].findobj(Text)
            if isinstance(text, Text) and text.get_visible()
        )


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> DrawnFigures:
    figures = DrawnFigures()
    monkeypatch.setattr(search.figures, "_png", figures)
    return figures


@pytest.mark.parametrize(
    "record",
    [
        trial(7, epochs=30),
        trial(8, "pruned", epochs=10),
        trial(9, "failed", epochs=3),
        trial(10, "interrupted", epochs=1, derived={}),
        trial(11, "running"),
    ],
    ids=lambda record: record.state,
)
def test_curves_of_any_trial_are_a_small_png(record: TrialRecord) -> None:
    png = curves_png(record)
    assert size_of(png) == (700, 300)
    assert len(png) < SMALL


def test_curves_name_their_axes_the_trial_and_its_best_value(drawn: DrawnFigures) -> None:
    curves_png(trial(7, epochs=30, layers=(64, 32)))
    texts = drawn.texts()
    assert "Trial 007 (64, 32): complete" in texts
    assert "epoch" in texts
    assert "top-100 accuracy (validation)" in texts
    assert "0.322" in texts  # 0.33 * (1 - exp(-30 / 8))


def test_the_pruned_epoch_is_marked_in_both_panels(drawn: DrawnFigures) -> None:
    curves_png(trial(8, "pruned", epochs=10))
    assert "pruned at epoch 10" in drawn.texts()
    for axes in drawn.figures[-1].axes:
        assert any(line.get_linestyle() == "--" for line in axes.lines)


def test_a_trial_without_epochs_says_so(drawn: DrawnFigures) -> None:
    curves_png(trial(3, "failed", curve=(), value=None))
    assert "no epoch was finished" in drawn.texts()
    assert drawn.figures[-1].axes == []


def test_values_that_are_not_finite_are_left_out(drawn: DrawnFigures) -> None:
    broken = CurvePoint(
        epoch=11, timestamp_ms=START_MS, metrics={"train_loss": float("inf"), "val_loss": 1.0}
    )
    curves_png(trial(3, "failed", curve=(*curve(10), broken)))
    _, losses = drawn.figures[-1].axes
    assert np.max(losses.lines[0].get_xdata()) == 10


def test_a_loss_that_falls_by_orders_of_magnitude_is_drawn_on_a_logarithmic_axis(
    drawn: DrawnFigures,
) -> None:
    points = tuple(
        CurvePoint(epoch=epoch, timestamp_ms=START_MS, metrics={"train_loss": 100.0 / epoch**3})
        for epoch in range(1, 11)
    )
    curves_png(trial(curve=points))
    assert drawn.figures[-1].axes[1].get_yscale() == "log"


def test_best_by_depth_is_a_small_png_with_a_line_and_a_name_for_each_depth(
    drawn: DrawnFigures,
) -> None:
    trials = [trial(0, layers=(32,)), trial(1, "pruned", layers=(64, 32))]
    best_by_depth_png(trials)
    (axes,) = drawn.figures[-1].axes
    assert len(axes.lines) == 2
    assert "(32,): 0.235 (trial 0)" in drawn.texts()
    assert "(64, 32): 0.235 (trial 1, pruned at epoch 10)" in drawn.texts()


@pytest.mark.parametrize("trials", [[], [trial(0, "failed", curve=())], [trial(1, derived={})]])
def test_best_by_depth_of_nothing_says_so(trials: list[TrialRecord], drawn: DrawnFigures) -> None:
    best_by_depth_png(trials)
    assert "no trial has an accuracy yet" in drawn.texts()


def test_best_by_depth_has_the_promised_size() -> None:
    png = best_by_depth_png([trial(n, layers=(32,) * (n + 1)) for n in range(5)])
    assert size_of(png) == (700, 420)
    assert len(png) < SMALL


def test_pictures_are_drawn_without_pyplot() -> None:
    code = "import sys, search.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
