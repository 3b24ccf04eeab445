"""The sections of a study file: what each key means, its type and its bounds.

A study file is data (TOML), and these models are its grammar: unknown keys are errors, nothing is
converted silently ("3" is not 3), every number has bounds. What concerns several sections at
once is checked by :class:`search.config.study.StudySpec`. The keys of the space are not here but in
:mod:`search.config.dimensions`.

This module imports neither deeprec nor optuna, so that a file is checked before anything slow.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, create_model, field_validator, model_validator

from search.config.dimensions import (
    DEPTH,
    DIMENSIONS,
    WIDTH,
    Bounds,
    Dimension,
    Range,
    Section,
    width_names,
)

MAX_EPOCHS = 10_000
MAX_TRIALS = 100_000

SAFE_NAME = re.compile(r"(?i:(?!.*\.(?:db|toml)))[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names of studies: they become names of files, of databases, of folders and of experiments. The
folder of a study ``x.db`` would be the database of a study ``x``."""

Epochs = Annotated[int, Field(ge=1, le=MAX_EPOCHS)]
Width = Annotated[int, Field(ge=WIDTH.at_least, le=WIDTH.at_most)]

S = TypeVar("S", bound=Section)


def _with_keys(fields: dict[str, Any]) -> Callable[[type[S]], type[S]]:
    """Gives a section more keys; a decorator, so that type checkers see the section itself."""

    def extended(section: type[S]) -> type[S]:
        name, module, about = section.__name__, section.__module__, section.__doc__
        return create_model(name, __base__=section, __module__=module, __doc__=about, **fields)

    return extended


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


@_with_keys({each.name: each.space_field() for each in (DEPTH, WIDTH, *DIMENSIONS)})
class SpaceSection(Section):
    """``[space]``: what the search varies."""

    if TYPE_CHECKING:  # the keys are the dimensions' names

        def __init__(self, **values: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...

    @property
    def varied(self) -> list[tuple[Dimension, Any]]:
        """The dimensions beside the layers that the study varies, with their values."""
        found = [(each, getattr(self, each.name)) for each in DIMENSIONS]
        return [(each, values) for each, values in found if values is not None]

    @property
    def open_dimensions(self) -> list[str]:
        """The dimensions beyond the tutorial's that have more than one value."""
        return [each.name for each, values in self.varied if not each.default and values.is_open]

    @property
    def is_finite(self) -> bool:
        """Whether no dimension takes every value of an interval."""
        return not any(each.kind.is_continuous and values.is_open for each, values in self.varied)

    @property
    def bounds(self) -> dict[str, Bounds]:
        """The bounds of every parameter with an order, by its readable name.

        Hidden widths are those of the deepest stack; their lower end, the width of the layer after
        them, differs from trial to trial, so the space's own stands for it.
        """
        return {
            DEPTH.name: DEPTH.bounds(self.depth),
            **dict.fromkeys(width_names(self.depth.high), WIDTH.bounds(self.width)),
            **{d.name: d.bounds(values) for d, values in self.varied if isinstance(values, Range)},
        }

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


@_with_keys({each.name: each.value_field() for each in DIMENSIONS})
class EnqueuedSection(Section):
    """``[[enqueue]]``: a configuration that is tried before the sampler chooses any."""

    name: str = Field(min_length=1, max_length=100)
    """What people call it, such as ``tutorial (64, 32)``."""

    layer_sizes: tuple[Width, ...] = Field(strict=False)
    """Widths of the dense layers, input to output."""

    if TYPE_CHECKING:  # the other keys are the dimensions' names

        def __init__(self, **values: Any) -> None: ...

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError(f"must be printable and on one line but got {name!r}")
        return name

    @property
    def values(self) -> dict[str, Any]:
        """What it says of the dimensions beside the layers, by name."""
        return self.model_dump(exclude={"name", "layer_sizes"}, exclude_none=True)

    def problems_in(self, space: SpaceSection) -> Iterator[str]:
        """Why the space does not hold this configuration: one sentence for each reason."""
        layers = list(self.layer_sizes)
        if not space.depth.contains(len(layers)):
            yield (
                f"layer_sizes must have {space.depth} widths (the depth of the space) "
                f"but got {layers}"
            )
        if not set(layers) <= set(space.width.values):
            yield (
                f"layer_sizes must be among {space.width} (the widths of the space) "
                f"but got {layers}"
            )
        if layers != sorted(layers, reverse=True):
            yield f"layer_sizes must not widen toward the output but got {layers}"
        for each in DIMENSIONS:
            if problem := each.problem(getattr(space, each.name), getattr(self, each.name)):
                yield problem
