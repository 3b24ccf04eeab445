"""The sections of a study file: what each key means, its type and its bounds.

A study file is data (TOML), and these models are its grammar: unknown keys are errors, nothing is
converted silently ("3" is not 3), every number has bounds. What concerns several sections at
once is checked by :class:`search.config.study.StudySpec`.

This module imports neither deeprec nor optuna, so that a file is checked before anything slow.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MAX_DEPTH = 8
MAX_WIDTH = 4096
MAX_EMBEDDING_DIMENSION = 1024
MAX_LEARNING_RATE = 100.0
MAX_EPOCHS = 10_000
MAX_TRIALS = 100_000

SAFE_NAME = re.compile(r"(?i:(?!.*\.(?:db|toml)))[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names of studies: they become names of files, of databases, of folders and of experiments. The
folder of a study ``x.db`` would be the database of a study ``x``."""

Depth = Annotated[int, Field(ge=1, le=MAX_DEPTH)]
Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]
EmbeddingDimension = Annotated[int, Field(ge=1, le=MAX_EMBEDDING_DIMENSION)]
LearningRate = Annotated[float, Field(gt=0, le=MAX_LEARNING_RATE)]
Epochs = Annotated[int, Field(ge=1, le=MAX_EPOCHS)]
Temperature = Annotated[float, Field(gt=0, le=1000)]
Dropout = Annotated[float, Field(ge=0, le=0.99)]
Penalty = Annotated[float, Field(gt=0, le=1000)]
RatingPower = Annotated[float, Field(gt=0, le=100)]

Scale = Literal["linear", "logarithmic"]

RANKING_DIMENSIONS: Mapping[str, Scale] = {
    "temperature": "logarithmic",
    "dropout": "linear",
    "l2": "logarithmic",
    "rating_power": "linear",
}
"""What a study may vary of the ranking losses, and the scale each is sampled on."""


class Section(BaseModel):
    """A table of the study file: immutable, strictly typed, without unknown keys or NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class StudySection(Section):
    """``[study]``: the name, the budget and the seed of a search."""

    name: str
    """Name of the study; the stem of the file unless the file says otherwise. At most 64 letters,
    digits, ``.``, ``_`` and ``-``, the first a letter or digit, without ``.db`` and ``.toml``."""

    description: str = Field(default="", max_length=2000)
    """What the study is for, in words."""

    trials: int = Field(default=50, ge=1, le=MAX_TRIALS)
    """How many trials (complete or pruned) the study has when it is finished."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """The origin of every random draw of the study."""

    max_failures_in_a_row: int = Field(default=5, ge=1, le=1000)
    """After so many failed trials without one that works, the search stops."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not SAFE_NAME.fullmatch(name):
            raise ValueError(
                "must be 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit, "
                "without .db and .toml, "
                f"but got {name!r} (rename the file or set name in [study])"
            )
        return name


class DataSection(Section):
    """``[data]``: which interactions, and how they are divided."""

    dataset: Literal["movielens/100k", "movielens/1m", "movielens/20m", "movielens/25m"] = (
        "movielens/100k"
    )
    """The data set, named as TensorFlow Datasets names it, without the table."""

    split: Literal["random", "temporal"] = "random"
    """``random``: shuffled once. ``temporal``: by timestamp, the latest rows test."""


class TrainingSection(Section):
    """``[training]``: what every trial has in common."""

    ADDED_LATER: ClassVar[tuple[str, ...]] = ("loss", "optimizer", "averaging")
    """Where these have their defaults, trials are comparable with those of older studies."""

    epochs: Epochs = 30
    """Passes over the training rows of a trial that is not pruned."""

    validate_every: Epochs = 5
    """Epochs between two validations; the pruner decides after each of them."""

    batch_size: int = Field(default=1000, ge=1, le=1_000_000)
    """Rows of a batch; for the loss ``softmax`` users of a batch, each with all of its rows."""

    loss: Literal["rating", "softmax", "in_batch_softmax"] = "rating"
    """``rating``: squared error, the tutorial's. ``softmax``: over the whole catalog.
    ``in_batch_softmax``: over the movies of a batch, for catalogs too large for that."""

    optimizer: Literal["adagrad", "adam"] = "adagrad"
    """What turns gradients into steps."""

    averaging: float = Field(default=0.0, ge=0, lt=1)
    """What is validated is an average of the weights after the epochs, in which each epoch weighs
    this share of the next; 0 is the last epoch alone."""

    @model_validator(mode="after")
    def _check_validations(self) -> Self:
        if self.validate_every > self.epochs:
            raise ValueError(
                f"must have validate_every at most epochs ({self.epochs}) "
                f"but got {self.validate_every}"
            )
        return self

    @property
    def last_prunable_epoch(self) -> int:
        """The last validated epoch before the end, where pruning still saves work; 0 if none."""
        return (self.epochs - 1) // self.validate_every * self.validate_every


class Range(Section):
    """An interval ``[low, high]``, both ends included; ``low == high`` fixes the value."""

    low: float
    """The lowest value."""

    high: float
    """The highest value."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(
                f"must have low at most high but got low = {self.low} and high = {self.high}"
            )
        return self

    def contains(self, value: float) -> bool:
        """Whether the value lies in the interval."""
        return self.low <= value <= self.high


class PowersOfTwo(Range):
    """The powers of two in an interval."""

    low: int
    high: int

    @model_validator(mode="after")
    def _check_not_empty(self) -> Self:
        lowest, highest = self.exponents
        if lowest > highest:
            raise ValueError(
                f"must contain a power of two but got low = {self.low} and high = {self.high} "
                f"(nearest: {2**highest} and {2**lowest})"
            )
        return self

    @property
    def exponents(self) -> tuple[int, int]:
        """Base-2 logarithms of the smallest and the largest power of two in the interval."""
        return (self.low - 1).bit_length(), self.high.bit_length() - 1

    @property
    def values(self) -> tuple[int, ...]:
        """The powers of two in the interval, ascending."""
        lowest, highest = self.exponents
        return tuple(2**exponent for exponent in range(lowest, highest + 1))


class DepthRange(Range):
    """How many dense layers a tower may have."""

    low: Depth
    high: Depth


class WidthRange(PowersOfTwo):
    """How wide a dense layer may be."""

    low: Width
    high: Width


class EmbeddingRange(PowersOfTwo):
    """How many dimensions the embedding of a feature may have."""

    low: EmbeddingDimension
    high: EmbeddingDimension


class LearningRateRange(Range):
    """Which learning rates are tried; sampled on a logarithmic scale."""

    low: LearningRate
    high: LearningRate


class TemperatureRange(Range):
    """By how much scores are divided before a softmax; sampled on a logarithmic scale."""

    low: Temperature
    high: Temperature


class DropoutRange(Range):
    """Which share of the final embeddings' elements a step may leave out."""

    low: Dropout
    high: Dropout


class PenaltyRange(Range):
    """Times the sum of squares of the weights; sampled on a logarithmic scale."""

    low: Penalty
    high: Penalty


class RatingPowerRange(Range):
    """Powers of the rating (in 0..1) that an interaction weighs in a softmax."""

    low: RatingPower
    high: RatingPower


class SpaceSection(Section):
    """``[space]``: what the search varies.

    A dimension beyond the tutorial's is an optional field that defaults to None, "not searched":
    None is left out of what makes trials comparable, so the studies that exist can still be
    resumed. :mod:`search.config.space` says where else it appears.
    """

    depth: DepthRange = DepthRange(low=1, high=4)
    """How many dense layers a tower has."""

    width: WidthRange = WidthRange(low=16, high=256)
    """How wide a layer is: the powers of two in the range, never wider toward the output."""

    embedding_dimension: EmbeddingRange = EmbeddingRange(low=16, high=128)
    """Dimension of the embedding of every feature: the powers of two in the range."""

    learning_rate: LearningRateRange = LearningRateRange(low=0.005, high=1.0)
    """Of the optimizer; sampled on a logarithmic scale."""

    normalize: tuple[bool, ...] | None = Field(default=None, min_length=1, strict=False)
    """Whether final embeddings have length 1, so that a score is a cosine: the choices."""

    temperature: TemperatureRange | None = None
    """Scores are divided by it before a softmax; sampled on a logarithmic scale."""

    dropout: DropoutRange | None = None
    """Share of the final embeddings' elements that a training step leaves out."""

    l2: PenaltyRange | None = None
    """Times the sum of squares of the weights; sampled on a logarithmic scale."""

    rating_power: RatingPowerRange | None = None
    """An interaction weighs its rating (in 0..1) to this power in a softmax."""

    @field_validator("normalize")
    @classmethod
    def _check_choices(cls, choices: tuple[bool, ...] | None) -> tuple[bool, ...] | None:
        if choices is not None and len(set(choices)) < len(choices):
            raise ValueError(f"must name each choice once but got {list(choices)}")
        return choices

    @property
    def ranking(self) -> dict[str, Range]:
        """The dimensions of the ranking losses that the study varies, by name."""
        ranges = {name: getattr(self, name) for name in RANKING_DIMENSIONS}
        return {name: values for name, values in ranges.items() if values is not None}

    @property
    def open_dimensions(self) -> list[str]:
        """The dimensions beyond the tutorial's that have more than one value."""
        choices = ["normalize"] if self.normalize and len(self.normalize) > 1 else []
        return choices + [name for name, values in self.ranking.items() if values.low < values.high]

    @property
    def is_finite(self) -> bool:
        """Whether no dimension takes every value of an interval."""
        continuous = [self.learning_rate, *self.ranking.values()]
        return all(values.low == values.high for values in continuous)

    @property
    def architectures(self) -> int:
        """How many combinations of layers and embedding dimension the space holds.

        Layers never widen toward the output, so the stacks of one depth are the multisets
        of that many widths.
        """
        widths = len(self.width.values)
        depths = range(self.depth.low, self.depth.high + 1)
        stacks = sum(math.comb(widths + depth - 1, depth) for depth in depths)
        return stacks * len(self.embedding_dimension.values)


class EnqueuedSection(Section):
    """``[[enqueue]]``: a configuration that is tried before the sampler chooses any."""

    name: str = Field(min_length=1, max_length=100)
    """What people call it, such as ``tutorial (64, 32)``."""

    layer_sizes: tuple[Width, ...] = Field(strict=False)
    """Widths of the dense layers, input to output."""

    embedding_dimension: EmbeddingDimension
    """Dimension of the embedding of every feature."""

    learning_rate: LearningRate
    """Learning rate of the optimizer."""

    normalize: bool | None = None
    """Whether final embeddings have length 1; given where the space varies it, like all below."""

    temperature: Temperature | None = None
    """Scores are divided by it before a softmax."""

    dropout: Dropout | None = None
    """Share of the final embeddings' elements that a step leaves out."""

    l2: Penalty | None = None
    """Times the sum of squares of the weights."""

    rating_power: RatingPower | None = None
    """An interaction weighs its rating to this power."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError(f"must be printable and on one line but got {name!r}")
        return name

    def problems_in(self, space: SpaceSection) -> list[str]:
        """Why the space does not hold this configuration: one sentence for each reason."""
        problems = _problems_of_layers(self.layer_sizes, space)
        if self.embedding_dimension not in space.embedding_dimension.values:
            problems.append(
                f"embedding_dimension must be one of {_listed(space.embedding_dimension.values)} "
                f"(the space) but got {self.embedding_dimension}"
            )
        if not space.learning_rate.contains(self.learning_rate):
            problems.append(
                f"learning_rate must lie in {space.learning_rate.low} to "
                f"{space.learning_rate.high} (the space) but got {self.learning_rate}"
            )
        return problems + self._problems_of_ranking(space)

    def _problems_of_ranking(self, space: SpaceSection) -> list[str]:
        problems = []
        choices = space.normalize or (None,)
        if self.normalize not in choices:
            problems.append(
                f"normalize must be {' or '.join(map(_in_toml, choices))} (the space) "
                f"but got {_in_toml(self.normalize)}"
            )
        for name in RANKING_DIMENSIONS:
            values, given = space.ranking.get(name), getattr(self, name)
            if values is None and given is not None:
                problems.append(f"{name} must be left out (not in the space) but got {given}")
            elif values is not None and (given is None or not values.contains(given)):
                problems.append(
                    f"{name} must lie in {values.low} to {values.high} (the space) "
                    f"but got {_in_toml(given)}"
                )
        return problems


def _in_toml(value: bool | float | None) -> str:
    """A value as a study file has it."""
    return "nothing" if value is None else str(value).lower()


def _problems_of_layers(layer_sizes: tuple[int, ...], space: SpaceSection) -> list[str]:
    problems = []
    shown = list(layer_sizes)
    if not space.depth.contains(len(layer_sizes)):
        problems.append(
            f"layer_sizes must have {space.depth.low} to {space.depth.high} widths "
            f"(the depth of the space) but got {shown}"
        )
    if not set(layer_sizes) <= set(space.width.values):
        problems.append(
            f"layer_sizes must be among {_listed(space.width.values)} (the widths of the space) "
            f"but got {shown}"
        )
    if list(layer_sizes) != sorted(layer_sizes, reverse=True):
        problems.append(f"layer_sizes must not widen toward the output but got {shown}")
    return problems


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
