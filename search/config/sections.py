"""The sections of a study file: what each key means, its type and its bounds.

A study file is data (TOML), and these models are its grammar: unknown keys are errors, nothing is
converted silently ("3" is not 3), every number has bounds. The keys of the space are those of
:mod:`search.config.dimensions`; what concerns several sections is checked by
:class:`search.config.study.StudySpec`. Neither deeprec nor optuna is imported, for a file is
checked before anything slow.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import ConfigDict, Field, create_model, field_validator, model_validator

from deeprec.config import Metric, check_loss
from deeprec.parts import place_of
from search.config.dimensions import (
    DEPTH,
    DIMENSIONS,
    WIDTH,
    Bounds,
    Dimension,
    Range,
    Section,
    own_dimension,
    width_names,
)
from search.records.trials import COSTS

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


class WarmStartSection(Section):
    """``[warm_start]``: studies whose finished trials a new study begins with."""

    studies: tuple[str, ...] = Field(default=(), max_length=100, strict=False)
    """Their names. Each has the same data, objective and training as this one; the space may be
    another, and the trials that lie in this one's are taken over when the study is created."""


class StudySection(Section):
    """``[study]``: the name, the budget and the seed of a search."""

    name: str
    """Name of the study; the stem of the file unless the file says otherwise. At most 64 letters,
    digits, ``.``, ``_`` and ``-``, the first a letter or digit, without ``.db`` and ``.toml``."""

    description: str = Field(default="", max_length=2000)
    """What the study is for, in words."""

    trials: int = Field(default=50, ge=1, le=MAX_TRIALS)
    """How many trials (complete or pruned) the study has when it is finished."""

    stop_when_stalled: int | None = Field(default=None, ge=1, le=MAX_TRIALS)
    """The search ends before, after so many finished trials in a row without a new best one. When
    not given, never, nor where ``--trials`` is."""

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

    @property
    def name(self) -> str:
        """What people call the data."""
        return self.dataset

    @property
    def split_name(self) -> str:
        """How rows are divided, in a word."""
        return self.split


class ModelSection(Section):
    """``[model]``: what makes the towers, where they are not the two of this project."""

    towers: str | None = None
    """Own towers: `module:attribute`, or a short name, see [own parts](../how-to/own-parts.md).
    ``cross`` (layers that multiply features, DCN-v2), ``attention`` (over the user's history) and
    ``sum`` (no layers: the embeddings of the features are added) come along."""

    @field_validator("towers")
    @classmethod
    def _check_towers(cls, given: str | None) -> str | None:
        if given is not None:
            place_of("towers", given)
        return given


class ObjectiveSection(Section):
    """``[objective]``: what a trial is judged by, on the validation rows."""

    metric: str | None = None
    """``ndcg``, ``recall``, ``hit``, ``mrr``, ``map``, ``precision`` or ``top_accuracy`` at any k,
    such as ``ndcg@10``, or a function of one's own, ``module:function@10``. When not given,
    ``top_accuracy@100`` of MovieLens, which is the tutorial's, and ``ndcg@10`` of other data."""

    metrics: tuple[str, ...] = Field(default=(), max_length=4, strict=False)
    """Several objectives in the place of ``metric``: the first is one of those metrics, and each
    other one another of them, which is maximized, too, or a cost that is minimized: ``parameters``,
    ``megabytes`` or ``milliseconds``, see [limits](#limits). The search looks for the trials that
    no other beats by all of them, and prunes none, see [trade-offs](../how-to/trade-offs.md)."""

    also: tuple[str, ...] = Field(default=(), max_length=20, strict=False)
    """What else is measured and shown: any of these, and ``coverage``, ``gini`` (of exposure),
    ``novelty`` or ``popularity_percentile`` at any k, which say what is shown and not whether it is
    wanted, see [what MLflow holds](metrics.md#metrics-of-lists)."""

    slices: tuple[str, ...] = Field(default=(), max_length=20, strict=False)
    """Features of users or items, of other data than MovieLens and of the kind ``category``: the
    test rows are also measured for each of their most frequent values by itself."""

    @field_validator("metric")
    @classmethod
    def _check_objective(cls, given: str | None) -> str | None:
        return given if given is None else str(Metric.objective(given))

    @field_validator("metrics")
    @classmethod
    def _check_objectives(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        checked = tuple(
            text if place and text in COSTS else str(Metric.objective(text))
            for place, text in enumerate(given)
        )
        if len(set(checked)) < len(checked):
            raise ValueError(f"must name each once but got {', '.join(checked)}")
        return checked

    @model_validator(mode="after")
    def _check_one_way(self) -> Self:
        if self.metric and self.metrics:
            raise ValueError(
                f"must have metric or metrics but got both ({self.metric} and "
                f"{', '.join(self.metrics)})"
            )
        return self

    @property
    def named(self) -> tuple[str, ...]:
        """All objectives that the file names, the first a metric; empty where it names none."""
        return self.metrics or ((self.metric,) if self.metric else ())

    @field_validator("also")
    @classmethod
    def _check_metrics(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(Metric.of(text)) for text in given)


class LimitsSection(Section):
    """``[limits]``: the most that a model may cost in use.

    A trial above a limit is infeasible: it is kept and shown, and never the best one.
    """

    parameters: int | None = Field(default=None, ge=1)
    """Numbers that both towers learn. Known before the training, which such a trial is spared: it
    ends as pruned at once."""

    megabytes: float | None = Field(default=None, gt=0, le=1e6)
    """The size of the saved recommender, in millions of bytes: both towers, the embeddings of all
    items, the catalog and what is known of the users. It is saved once before the training, and
    such a trial is spared it, too."""

    milliseconds: float | None = Field(default=None, gt=0, le=1e6)
    """The median time of 200 requests for the best ten items of one known user, in the process that
    trained the model, after 20 that are not timed. It is of this machine at that moment, see
    [trade-offs](../how-to/trade-offs.md)."""

    @property
    def given(self) -> dict[str, float]:
        """Those that the file names."""
        return self.model_dump(exclude_none=True)


class TrainingSection(Section):
    """``[training]``: what every trial has in common."""

    ADDED_LATER: ClassVar[tuple[str, ...]] = (
        "loss",
        "optimizer",
        "averaging",
        "id_dropout",
        "negatives",
    )
    """Where these have their defaults, trials are comparable with those of older studies."""

    epochs: Epochs = 30
    """Passes over the training rows of a trial that is not pruned."""

    validate_every: Epochs = 5
    """Epochs between two validations; the pruner decides after each of them."""

    patience: int | None = Field(default=None, ge=1, le=MAX_EPOCHS)
    """After so many validations in a row without a new best of the trial it ends there, complete,
    with its best value; as ``keras.callbacks.EarlyStopping``. When not given, never."""

    batch_size: int = Field(default=1000, ge=1, le=1_000_000)
    """Rows of a batch; for the losses ``softmax`` and ``sampled_softmax`` users of a batch."""

    loss: str = "rating"
    """``rating``: squared error, the tutorial's. ``softmax``: over the whole catalog. For catalogs
    too large for that, ``sampled_softmax``: an estimate of it, from what each step draws of the
    rows and of the catalog; ``in_batch_softmax``: over the items of a batch. Or a function of
    one's own, ``module:function``, see [own parts](../how-to/own-parts.md)."""

    negatives: int = Field(default=2048, ge=1, le=1_000_000)
    """How many movies a step of ``sampled_softmax`` draws, and three times as many rows."""

    optimizer: Literal["adagrad", "adam"] = "adagrad"
    """What turns gradients into steps."""

    averaging: float = Field(default=0.0, ge=0, lt=1)
    """What is validated is an average of the weights after the epochs, in which each epoch weighs
    this share of the next; 0 is the last epoch alone."""

    id_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the users and items of a step that are trained as unknown ones, so that an unknown
    user is answered by features; of MovieLens only users, and where the space has a history."""

    @field_validator("loss")
    @classmethod
    def _check_loss(cls, given: str) -> str:
        check_loss(given)
        return given

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
    """``[space]``: what the search varies. A study with parts of its own may have further keys."""

    model_config = ConfigDict(extra="allow")

    if TYPE_CHECKING:  # the keys are the dimensions' names

        def __init__(self, **values: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...

    @property
    def varied(self) -> list[tuple[Dimension, Any]]:
        """The dimensions beside the layers that the study varies, with their values."""
        found = [(each, getattr(self, each.name)) for each in DIMENSIONS]
        return [*((each, values) for each, values in found if values is not None), *self.own]

    @property
    def own(self) -> list[tuple[Dimension, Any]]:
        """The dimensions that parts of one's own ask for, with their values.

        ValueError, which checking the file has raised before, where one is none.
        """
        return [own_dimension(name, given) for name, given in (self.model_extra or {}).items()]

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
    """``[[enqueue]]``: a configuration that is tried before the sampler chooses any.

    It has the further keys of the space, too.
    """

    model_config = ConfigDict(extra="allow")

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
        for each, values in space.own:
            if problem := each.problem(values, (self.model_extra or {}).get(each.name)):
                yield problem
