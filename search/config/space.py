"""Between the search space and a configuration: trial -> configuration -> trial parameters.

The parameters of a trial have the same names whatever its depth, counted from the output, so that
a sampler learns from trials of other depths and a table compares them: ``(128, 64, 32)`` is
``depth`` 3, ``output_width_log2`` 5 (the last layer), ``hidden_width_1_log2`` 6 and
``hidden_width_2_log2`` 7. A layer is at least as wide as the one after it, so the lower end of its
range is that width. The other dimensions are those of
:data:`search.config.dimensions.DIMENSIONS` that the study varies.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import combinations_with_replacement, product
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from deeprec.config import DataConfig, Metric, ModelConfig, TrainingConfig, loss_part
from search.config.dimensions import (
    DEPTH,
    DIMENSIONS,
    EXPONENT_SUFFIX,
    WIDTH,
    Choices,
    Dimension,
    OwnChoices,
    PowersOfTwo,
    exponent_of,
    width_names,
)
from search.config.sections import DataSection, SpaceSection
from search.config.study import StudySpec

TUTORIAL_METRIC = Metric("top_accuracy", 100)

OF_THE_MODEL = {each.name for each in fields(ModelConfig)} - {"towers", "own"}
OF_THE_TRAINING = {each.name for each in fields(TrainingConfig)} - {"own"}
"""What of a configuration is the architecture, and what training; the rest is for own parts."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What a trial tries."""

    layer_sizes: tuple[int, ...]  # widths of the dense layers, input to output
    values: Mapping[str, Any] = field(hash=False)
    """Of the other dimensions that the study varies, by name; what it does not has the default of
    :mod:`deeprec.config`."""

    def model_config(self, towers: str | None = None) -> ModelConfig:
        """The architecture of both towers; ``towers`` are those of the study, if not ours."""
        values = {name: value for name, value in self.values.items() if name in OF_THE_MODEL}
        own = tuple(sorted(self._own.items())) if towers else ()
        return ModelConfig(layer_sizes=self.layer_sizes, towers=towers, own=own, **values)

    @property
    def _own(self) -> dict[str, Any]:
        """The values that only parts of one's own ask for."""
        known = OF_THE_MODEL | OF_THE_TRAINING
        return {name: value for name, value in self.values.items() if name not in known}

    def training_config(self, spec: StudySpec, seed: int) -> TrainingConfig:
        """How it is trained: what is its own, and what all trials of the study share."""
        known = OF_THE_TRAINING
        values = {name: value for name, value in self.values.items() if name in known}
        shared = {**spec.training.model_dump(), "metrics": list_metrics_of(spec)}
        if loss_part(spec.training.loss):
            numbers = ((n, v) for n, v in self._own.items() if not isinstance(v, str))
            shared["own"] = tuple(sorted(numbers))
        return TrainingConfig(**{**shared, **values, "seed": seed})


def list_metrics_of(spec: StudySpec) -> tuple[Metric, ...]:
    """The metrics of the study; none where it is judged as the tutorial's model is."""
    return () if spec.metrics == (TUTORIAL_METRIC,) else spec.metrics


def data_config(spec: StudySpec) -> DataConfig:
    """The data set of MovieLens that the study names."""
    assert isinstance(spec.data, DataSection), "other data is loaded by its description"
    return DataConfig(dataset=spec.data.dataset, split=spec.data.split)


def enqueued_configurations(spec: StudySpec) -> dict[str, Configuration]:
    """The configurations to try first, by name, in the order of the file."""
    return {
        entry.name: Configuration(layer_sizes=entry.layer_sizes, values=entry.values)
        for entry in spec.enqueue
    }


def logged_configuration(
    params: Mapping[str, str], space: SpaceSection | None = None
) -> Configuration:
    """The configuration whose readable parameters were logged as text.

    The dimensions of its own that the study has are those of its space.

    Raises:
        KeyError: one is missing.
        ValueError: one is not what a trial has.
    """
    own = {
        each.name: _parsed(each, values, params[each.name])
        for each, values in (space.own if space else ())
    }
    return Configuration(
        layer_sizes=tuple(map(int, re.findall(r"\d+", params["layer_sizes"]))),
        values={
            each.name: each.parse(params[each.name])
            for each in DIMENSIONS
            if each.name in params or each.default
        }
        | own,
    )


def _parsed(dimension: Dimension, values: Any, text: str) -> Any:
    """The value of a dimension of one's own that ``str`` made the text of."""
    if not isinstance(values, OwnChoices):
        return dimension.parse(text)
    found = [value for value in values.root if str(value) == text]
    if not found:
        raise ValueError(f"{dimension.name} must {values.rule} but got {text!r}")
    return found[0]


def suggest(trial: BaseTrial, space: SpaceSection) -> Configuration:
    """The configuration of a trial: its sampler chooses, within the space."""
    distributions = common_distributions(space)
    depth = _ask(trial, DEPTH.name, distributions[DEPTH.name])
    low, high = space.width.exponents
    from_output = []
    for name in width_names(depth):
        low = trial.suggest_int(name + EXPONENT_SUFFIX, low, high)  # as wide as the next, at least
        from_output.append(2**low)
    return Configuration(
        layer_sizes=tuple(reversed(from_output)),
        values={
            each.name: each.decode(_ask(trial, each.parameter, distributions[each.parameter]))
            for each, _ in space.varied
        },
    )


def _ask(trial: BaseTrial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case IntDistribution(low=low, high=high):
            return trial.suggest_int(name, low, high)
        case FloatDistribution(low=low, high=high, log=log):
            return trial.suggest_float(name, low, high, log=log)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
    raise TypeError(f"a trial cannot be asked for a {type(distribution).__name__}")


def common_distributions(space: SpaceSection) -> dict[str, BaseDistribution]:
    """The parameters that every trial has, with the ranges that :func:`suggest` gives them.

    The hidden widths are not among them: not every trial has them, and their ranges depend on
    the widths after them.
    """
    [output_width] = width_names(1)
    return {
        DEPTH.name: _distribution(DEPTH, space.depth),
        output_width + EXPONENT_SUFFIX: _distribution(WIDTH, space.width),
        **{each.parameter: _distribution(each, values) for each, values in space.varied},
    }


def _distribution(dimension: Dimension, values: Any) -> BaseDistribution:
    if isinstance(values, Choices):
        return CategoricalDistribution(values.root)
    if isinstance(values, PowersOfTwo):
        return IntDistribution(*values.exponents)
    if dimension.kind.is_continuous:
        is_logarithmic = dimension.scale == "logarithmic"
        return FloatDistribution(values.low, values.high, log=is_logarithmic)
    return IntDistribution(values.low, values.high)


def parameters_of(configuration: Configuration) -> dict[str, int | float]:
    """The trial parameters that :func:`suggest` turns into the configuration.

    ValueError where a width or the embedding dimension is not a power of two.
    """
    depth = len(configuration.layer_sizes)
    widths = zip(width_names(depth), reversed(configuration.layer_sizes), strict=True)
    return {
        DEPTH.name: depth,
        **{name + EXPONENT_SUFFIX: exponent_of(width) for name, width in widths},
        **{
            each.parameter: each.encode(configuration.values[each.name])
            for each in DIMENSIONS
            if each.name in configuration.values
        },
        **configuration._own,
    }


def readable(parameters: Mapping[str, int | float]) -> dict[str, int | float]:
    """Trial parameters as people read them: widths, not exponents.

    Any part of the parameters will do: a trial that was killed may hold only some.
    """
    return {
        name.removesuffix(EXPONENT_SUFFIX): (
            1 << int(value) if name.endswith(EXPONENT_SUFFIX) else value
        )
        for name, value in parameters.items()
    }


def enumerate_configurations(space: SpaceSection, learning_rates: int) -> list[Configuration]:
    """Every architecture of the space with a few learning rates; shallow and narrow first.

    Every other dimension has one value, which a study file is checked for.

    The learning rates are evenly spaced on the logarithmic scale from the lowest to the highest;
    one alone is their geometric mean.
    """
    stacks = (
        tuple(reversed(from_output))
        for depth in range(space.depth.low, space.depth.high + 1)
        for from_output in combinations_with_replacement(space.width.values, depth)
    )
    names = [each.name for each, _ in space.varied]
    grid = product(stacks, *(_points(each, learning_rates) for _, each in space.varied))
    return [
        Configuration(layer_sizes=stack, values=dict(zip(names, values, strict=True)))
        for stack, *values in grid
    ]


def _points(values: Any, count: int) -> list[Any]:
    """The values on a grid; of an open interval evenly spaced ones, each once."""
    if isinstance(values, PowersOfTwo):
        return list(values.values)
    if isinstance(values, Choices):
        return list(values.root)
    if not values.is_open:
        return [values.low]
    if count == 1:
        spaced = np.sqrt([values.low * values.high])
    else:
        spaced = np.geomspace(values.low, values.high, count)
    within = np.clip(spaced, values.low, values.high)  # rounding may step over an end
    return [float(value) for value in np.unique(within)]
