"""What a training would have reached: a model of the recorded curves.

Gaussian processes (scikit-learn's, which MLflow brings along) predict the curve of a configuration
from its parameters, with a length scale of their own for each parameter: one its highest point, one
each of :data:`COMPONENTS` principal components of the curves, which give its shape. Values are
taken as logarithms of how far they are below a ceiling, :data:`MARGIN` above all: differences among
good configurations are small, and are what a search is about. To the prediction is added what the
seed of a training does to its curve: the difference of two recorded trainings of one configuration,
divided by the root of two, drawn at random as a whole curve. One more process, of zeros and ones,
knows where trainings diverge.

``python -m tests.experiments surrogate`` prints how well that predicts configurations which it has
not seen.
"""

import argparse
import sys
import warnings
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from tests.experiments.recorded import Recorded, distinct, read

Array = NDArray[np.float64]

COMPONENTS = 3
MARGIN = 0.005
FOLDS = 10
LOGARITHMIC = ("learning_rate", "temperature", "l2")


def main(given: list[str]) -> None:
    """Prints the quality of the surrogates out of fold."""
    parser = argparse.ArgumentParser(prog="python -m tests.experiments surrogate")
    parser.add_argument("studies", nargs="*", default=["ranking", "tutorial"])
    lines = [
        "| study | trainings | configurations | rank correlation | of the better half "
        "| their error | divergence told right | deviation over seeds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(quality(study) for study in parser.parse_args(given).studies),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


class Surrogate:
    """Predicts curves; made of recorded trainings, of which several may share a configuration."""

    def __init__(self, recorded: Sequence[Recorded]) -> None:
        self._names = sorted({name for each in recorded for name in each.parameters})
        features = np.array([self._features(each.parameters) for each in recorded])
        self._center, self._scale = features.mean(0), features.std(0) + 1e-9
        features = (features - self._center) / self._scale
        diverged = np.array([each.diverged for each in recorded])
        values = np.array([each.values for each in recorded if not each.diverged])
        self._ceiling = values.max() + MARGIN
        curves = np.log(self._ceiling - values)
        self._mean = curves.mean(0)
        _, _, axes = np.linalg.svd(curves - self._mean, full_matrices=False)
        self._axes = axes[:COMPONENTS]
        scores = (curves - self._mean) @ self._axes.T
        self._processes = [_fitted(features[~diverged], each) for each in scores.T]
        self._highest = _fitted(features[~diverged], curves.min(axis=1))
        self._divergence = _fitted(features, diverged * 1.0) if diverged.any() else None
        self.noises = seed_noises(recorded)

    def curves(self, configurations: Sequence[Mapping[str, Any]]) -> Array:
        """The curves without the noise of seeds, ``[configurations, validations]``."""
        features = self._scaled(configurations)
        scores = np.stack([each.predict(features) for each in self._processes], axis=1)
        shapes = self._ceiling - np.exp(scores @ self._axes + self._mean)
        highest = self._ceiling - np.exp(self._highest.predict(features))
        curves: Array = shapes + (highest - shapes.max(axis=1))[:, None]
        return np.clip(curves, 0, 1)

    def diverges(self, configurations: Sequence[Mapping[str, Any]]) -> Any:
        """Whether trainings diverge, ``[configurations]``."""
        if self._divergence is None:
            return np.zeros(len(configurations), bool)
        return self._divergence.predict(self._scaled(configurations)) > 0.5

    def drawn(self, parameters: Mapping[str, Any], seed: int) -> Array:
        """The curve of a training with a seed; equal for equal configurations and seeds."""
        rng = np.random.default_rng([seed, zlib.crc32(repr(sorted(parameters.items())).encode())])
        noise = self.noises[rng.integers(len(self.noises))] * rng.choice([-1, 1])
        curve: Array = np.clip(self.curves([parameters])[0] + noise, 0, 1)
        return curve

    def worth(self, configurations: Sequence[Mapping[str, Any]]) -> Array:
        """The highest point of each curve without noise; 0 where trainings diverge."""
        highest = self.curves(configurations).max(axis=1)
        worth: Array = np.where(self.diverges(configurations), 0.0, highest)
        return worth

    def _scaled(self, configurations: Sequence[Mapping[str, Any]]) -> Array:
        features = np.array([self._features(each) for each in configurations])
        scaled: Array = (features - self._center) / self._scale
        return scaled

    def _features(self, parameters: Mapping[str, Any]) -> list[float]:
        """A layer that is not there is taken to be as wide as the one after it."""
        found, width = [], float(parameters["output_width_log2"])
        for name in self._names:
            value = float(parameters.get(name, width))
            width = value if name.startswith("hidden_width") else width
            found.append(float(np.log10(value)) if name in LOGARITHMIC else value)
        return found


def _fitted(features: Array, values: Array) -> GaussianProcessRegressor:
    scales = Matern(np.full(features.shape[1], 3.0), (1, 1e3), nu=1.5)
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * scales + WhiteKernel(0.1, (1e-2, 2))
    process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=1)
    process.random_state = 0
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return process.fit(features, values)


def seed_noises(recorded: Sequence[Recorded]) -> Array:
    """What a seed adds to a curve, ``[pairs, validations]``."""
    by_configuration: dict[str, list[Recorded]] = {}
    for each in recorded:
        by_configuration.setdefault(str(each.parameters), []).append(each)
    pairs = [
        np.subtract(again.values, first.values) / np.sqrt(2)
        for first, *others in by_configuration.values()
        for again in others
        if not first.diverged and not again.diverged
    ]
    return np.array(pairs)


@cache
def surrogate_of(study: str) -> Surrogate:
    """The surrogate of all that was recorded of a study."""
    return Surrogate(read(study))


def quality(study: str) -> str:
    """A line: how well configurations are predicted that the surrogate has not seen."""
    recorded = read(study)
    known = distinct(recorded)
    held_out = [
        (each, surrogate.curves([each.parameters]).max(), surrogate.diverges([each.parameters])[0])
        for fold in range(FOLDS)
        for surrogate in [Surrogate(_without(recorded, known[fold::FOLDS]))]
        for each in known[fold::FOLDS]
    ]
    told = np.mean([each.diverged == diverges for each, _, diverges in held_out])
    pairs = [(each.best, highest) for each, highest, _ in held_out if not each.diverged]
    values, predicted = np.array(pairs).T
    better = values >= np.median(values)
    return (
        f"| {study} | {len(recorded)} | {len(known)} | {spearmanr(values, predicted)[0]:.2f} "
        f"| {spearmanr(values[better], predicted[better])[0]:.2f} "
        f"| {np.abs(values - predicted)[better].mean():.4f} | {told:.0%} "
        f"| {_deviation_of_best(recorded):.4f} |"
    )


def _without(recorded: Sequence[Recorded], held_out: Sequence[Recorded]) -> list[Recorded]:
    names = {str(each.parameters) for each in held_out}
    return [each for each in recorded if str(each.parameters) not in names]


def _deviation_of_best(recorded: Sequence[Recorded]) -> float:
    """The standard deviation of a trial's value over the seeds of its training."""
    first: dict[str, float] = {}
    squares = []
    for each in recorded:
        if each.diverged:
            continue
        name = str(each.parameters)
        if name in first:
            squares.append((each.best - first[name]) ** 2 / 2)
        first.setdefault(name, each.best)
    return float(np.sqrt(np.mean(squares))) if squares else float("nan")
