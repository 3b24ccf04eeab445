"""Between the search space and a configuration: trial -> configuration -> trial parameters.

The parameters of a trial have the same names whatever its depth, counted from the output, so
that a sampler learns from trials of other depths and a table compares them:

========================== ===================== ==========================
parameter                  ``(128, 64, 32)`` has stands for
========================== ===================== ==========================
``depth``                  3                     the number of layers
``output_width_log2``      5                     32, the last layer
``hidden_width_1_log2``    6                     64, the layer before it
``hidden_width_2_log2``    7                     128, the layer before that
``embedding_dimension_log2`` 5                   32
``learning_rate``          0.05                  itself
========================== ===================== ==========================

The dimensions of the ranking losses (:data:`search.config.sections.RANKING_DIMENSIONS`) and
``normalize`` stand for themselves; a study that does not vary one has no such parameter.

Widths are integer exponents: a sampler sees their order, and every value is a power of two. A
layer is at least as wide as the one after it, so the lower end of its range is that width.

To add a number: an entry of ``RANKING_DIMENSIONS``, an optional field each of ``SpaceSection`` and
``EnqueuedSection``, and a field of :class:`Configuration`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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

from deeprec.config import DataConfig, ModelConfig, TrainingConfig
from search.config.sections import RANKING_DIMENSIONS, LearningRateRange, SpaceSection, WidthRange
from search.config.study import StudySpec

EXPONENT_SUFFIX = "_log2"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What a trial tries."""

    layer_sizes: tuple[int, ...]
    """Widths of the dense layers, input to output."""

    embedding_dimension: int
    """Dimension of the embedding of every feature."""

    learning_rate: float
    """Learning rate of the optimizer."""

    normalize: bool | None = None
    """Whether final embeddings have length 1; None, here and below, is the default of
    :mod:`deeprec.config`: the study does not vary it."""

    temperature: float | None = None
    """Scores are divided by it before a softmax."""

    dropout: float | None = None
    """Share of the final embeddings' elements that a step leaves out."""

    l2: float | None = None
    """Times the sum of squares of the weights."""

    rating_power: float | None = None
    """An interaction weighs its rating to this power."""

    @property
    def ranking(self) -> dict[str, Any]:
        """What is set of the dimensions of the ranking losses, by name."""
        values = {name: getattr(self, name) for name in RANKING_DIMENSIONS}
        return {name: value for name, value in values.items() if value is not None}

    def model_config(self) -> ModelConfig:
        """The architecture of both towers."""
        return ModelConfig(
            layer_sizes=self.layer_sizes,
            embedding_dimension=self.embedding_dimension,
            normalize=bool(self.normalize),
        )

    def training_config(self, spec: StudySpec, seed: int) -> TrainingConfig:
        """How it is trained: what is its own, and what all trials of the study share.

        Args:
            spec: the study.
            seed: origin of what the training draws at random.
        """
        return TrainingConfig(
            **spec.training.model_dump(),
            learning_rate=self.learning_rate,
            seed=seed,
            **self.ranking,
        )


def data_config(spec: StudySpec) -> DataConfig:
    """The data of the study."""
    return DataConfig(dataset=spec.data.dataset, split=spec.data.split)


def enqueued_configurations(spec: StudySpec) -> dict[str, Configuration]:
    """The configurations to try first, by name, in the order of the file."""
    return {
        entry.name: Configuration(**entry.model_dump(exclude={"name"})) for entry in spec.enqueue
    }


def suggest(trial: BaseTrial, space: SpaceSection) -> Configuration:
    """The configuration of a trial: its sampler chooses, within the space."""
    rates = space.learning_rate
    depth = trial.suggest_int("depth", space.depth.low, space.depth.high)
    layer_sizes = _suggest_layers(trial, depth, space.width)
    embedding = trial.suggest_int("embedding_dimension_log2", *space.embedding_dimension.exponents)
    return Configuration(
        layer_sizes=layer_sizes,
        embedding_dimension=2**embedding,
        learning_rate=trial.suggest_float("learning_rate", rates.low, rates.high, log=True),
        normalize=_suggest_normalize(trial, space),
        **{
            name: trial.suggest_float(name, values.low, values.high, log=_is_log(name))
            for name, values in space.ranking.items()
        },
    )


def _suggest_normalize(trial: BaseTrial, space: SpaceSection) -> bool | None:
    if space.normalize is None:
        return None
    return bool(trial.suggest_categorical("normalize", space.normalize))


def _is_log(name: str) -> bool:
    return RANKING_DIMENSIONS[name] == "logarithmic"


def _suggest_layers(trial: BaseTrial, depth: int, widths: WidthRange) -> tuple[int, ...]:
    low, high = widths.exponents
    from_output = []
    for name in _width_names(depth):
        low = trial.suggest_int(name, low, high)  # the next layer is at least as wide
        from_output.append(2**low)
    return tuple(reversed(from_output))


def _width_names(depth: int) -> Iterator[str]:
    """The parameters of ``depth`` layers, from the output."""
    yield f"output_width{EXPONENT_SUFFIX}"
    for layer in range(1, depth):
        yield f"hidden_width_{layer}{EXPONENT_SUFFIX}"


def parameters_of(configuration: Configuration) -> dict[str, int | float]:
    """The trial parameters that :func:`suggest` turns into the configuration.

    Raises:
        ValueError: a width or the embedding dimension is not a power of two.
    """
    depth = len(configuration.layer_sizes)
    widths = zip(_width_names(depth), reversed(configuration.layer_sizes), strict=True)
    return {
        "depth": depth,
        **{name: _exponent(width) for name, width in widths},
        "embedding_dimension_log2": _exponent(configuration.embedding_dimension),
        "learning_rate": configuration.learning_rate,
        **({} if configuration.normalize is None else {"normalize": configuration.normalize}),
        **configuration.ranking,
    }


def _exponent(value: int) -> int:
    if value < 1 or value.bit_count() != 1:
        raise ValueError(f"a width or dimension must be a power of two but got {value}")
    return value.bit_length() - 1


def readable(parameters: Mapping[str, int | float]) -> dict[str, int | float]:
    """Trial parameters as people read them: widths, not exponents.

    Any part of the parameters will do: a trial that was killed may hold only some.
    """
    return dict(_decoded(name, value) for name, value in parameters.items())


def _decoded(name: str, value: int | float) -> tuple[str, int | float]:
    if name.endswith(EXPONENT_SUFFIX):
        return name.removesuffix(EXPONENT_SUFFIX), 2 ** int(value)
    return name, value


def common_distributions(space: SpaceSection) -> dict[str, BaseDistribution]:
    """The parameters that every trial has, with the ranges that :func:`suggest` gives them.

    The hidden widths are not among them: not every trial has them, and their ranges depend on
    the widths after them.
    """
    rates = space.learning_rate
    choices = {} if space.normalize is None else {"normalize": space.normalize}
    return {
        "depth": IntDistribution(space.depth.low, space.depth.high),
        "output_width_log2": IntDistribution(*space.width.exponents),
        "embedding_dimension_log2": IntDistribution(*space.embedding_dimension.exponents),
        "learning_rate": FloatDistribution(rates.low, rates.high, log=True),
        **{name: CategoricalDistribution(values) for name, values in choices.items()},
        **{
            name: FloatDistribution(values.low, values.high, log=_is_log(name))
            for name, values in space.ranking.items()
        },
    }


def enumerate_configurations(space: SpaceSection, learning_rates: int) -> list[Configuration]:
    """Every architecture of the space with a few learning rates; shallow and narrow first.

    Every other dimension has one value, which a study file is checked for.

    Args:
        space: the search space.
        learning_rates: how many, evenly spaced on the logarithmic scale from the lowest to the
            highest; 1 gives their geometric mean.
    """
    grid = product(
        _stacks(space),
        space.embedding_dimension.values,
        _rates(space.learning_rate, learning_rates),
    )
    fixed: dict[str, Any] = {name: values.low for name, values in space.ranking.items()}
    if space.normalize is not None:
        fixed["normalize"] = space.normalize[0]
    return [
        Configuration(layer_sizes=stack, embedding_dimension=dimension, learning_rate=rate, **fixed)
        for stack, dimension, rate in grid
    ]


def _stacks(space: SpaceSection) -> Iterator[tuple[int, ...]]:
    for depth in range(space.depth.low, space.depth.high + 1):
        for from_output in combinations_with_replacement(space.width.values, depth):
            yield tuple(reversed(from_output))


def _rates(rates: LearningRateRange, count: int) -> list[float]:
    """Evenly spaced rates, each once: in a very narrow range several may be the same number."""
    if count == 1:
        spaced = np.sqrt([rates.low * rates.high])
    else:
        spaced = np.geomspace(rates.low, rates.high, count)
    within = np.clip(spaced, rates.low, rates.high)  # rounding may step over an end
    return [float(rate) for rate in np.unique(within)]
