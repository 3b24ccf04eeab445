"""What a study may vary: every dimension of the search space, described once.

From the description follow a dimension's keys in ``[space]`` and ``[[enqueue]]``, their checks and
their documentation, its parameter in Optuna, how it is suggested and listed in a grid, its bounds,
and how it is shown and read again. A new number of the training is one entry of
:data:`DIMENSIONS`, and a field of its name in :class:`deeprec.config.TrainingConfig`.

This module imports neither deeprec nor optuna, so that a file is checked before anything slow.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model, model_validator

Scale = Literal["linear", "logarithmic"]

EXPONENT_SUFFIX = "_log2"


class Section(BaseModel):
    """A table of the study file: immutable, strictly typed, without unknown keys or NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Range(Section):
    """An interval ``[low, high]``, both ends included; ``low == high`` fixes the value."""

    TYPE: ClassVar[type] = float
    is_continuous: ClassVar[bool] = True

    low: float
    high: float

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(
                f"must have low at most high but got low = {self.low} and high = {self.high}"
            )
        return self

    @property
    def values(self) -> tuple[int, ...]:
        """What a sampler's values stand for, ascending; empty where they stand for themselves."""
        return ()

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        values = self.values or (self.low, self.high)
        return values[0], values[-1]

    @property
    def is_open(self) -> bool:
        """Whether there is more than one value."""
        return self.ends[0] < self.ends[1]

    def contains(self, value: float) -> bool:
        """Whether the value is one of them."""
        return value in self.values if self.values else self.low <= value <= self.high

    @property
    def rule(self) -> str:
        """What a value must do."""
        return f"be one of {self}" if self.values else f"lie in {self.low} to {self.high}"

    def __str__(self) -> str:
        """Such as ``0.1 to 1``, or ``16, 32``."""
        return ", ".join(map(str, self.values)) or f"{self.low:g} to {self.high:g}"


class WholeNumbers(Range):
    """The whole numbers of an interval."""

    TYPE = int
    is_continuous = False

    low: int
    high: int


class PowersOfTwo(WholeNumbers):
    """The powers of two in an interval; a sampler has exponents, so that it sees their order."""

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


class Choices(RootModel[tuple[bool, ...]]):
    """Whether something is done: true, false, or both."""

    model_config = ConfigDict(frozen=True, strict=True)
    TYPE: ClassVar[type] = bool
    is_continuous: ClassVar[bool] = False

    root: tuple[bool, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _check_each_once(self) -> Self:
        if len(set(self.root)) < len(self.root):
            raise ValueError(f"must name each choice once but got {list(self.root)}")
        return self

    @property
    def is_open(self) -> bool:
        """Whether there is more than one value."""
        return len(self.root) > 1

    def contains(self, value: bool) -> bool:
        """Whether the value is one of them."""
        return value in self.root

    @property
    def rule(self) -> str:
        """What a value must do."""
        return f"be {self}"

    def __str__(self) -> str:
        """Such as ``true or false``."""
        return " or ".join(map(in_toml, self.root))


class OwnChoices(Choices):
    """The values of a dimension of one's own that have no order."""

    TYPE = str

    root: tuple[bool | int | float | str, ...] = Field(min_length=1, max_length=100, strict=False)  # type: ignore[assignment]

    @property
    def rule(self) -> str:
        """What a value must do."""
        return f"be one of {self}"

    def __str__(self) -> str:
        """Such as ``relu, gelu``."""
        return ", ".join(map(in_toml, self.root))


Values = Range | Choices  # what ``[space]`` holds of a dimension


class Bounds(NamedTuple):
    """Where the values of a parameter with an order may lie in a study."""

    key: str  # the key of the study file, such as ``space.width``
    low: float  # the smallest value a trial can have
    high: float
    is_logarithmic: bool  # whether people read it on a logarithmic scale
    is_continuous: bool  # whether it takes every value in between
    # the smallest value that makes sense at all; None where there is no such value
    lowest: float | None


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One thing that a study may vary."""

    name: str  # the key in the study file, and the field of the recommender's configuration
    meaning: str  # what a value is, for people
    kind: type[Values] = Range  # what is given of it, and tried
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    """What a file may give."""

    default: tuple[float, float] | None = None
    """Lowest and highest value where a file says nothing; None, "not searched", is left out of
    what makes trials comparable, so that the studies of before can still be resumed."""

    scale: Scale = "linear"  # what a sampler and a picture divide evenly
    only_ranking: bool = False  # whether the loss ``rating`` has no such thing
    is_own: bool = False  # whether a part that the study names asks for it

    @property
    def parameter(self) -> str:
        """What a sampler calls it."""
        return self.name + (EXPONENT_SUFFIX if self.kind is PowersOfTwo else "")

    def encode(self, value: Any) -> Any:
        """The value as a sampler has it; ValueError where it has none."""
        return exponent_of(value) if self.kind is PowersOfTwo else value

    def decode(self, value: Any) -> Any:
        """The value of what a sampler has."""
        if self.kind is OwnChoices:
            return value
        return 1 << value if self.kind is PowersOfTwo else self.kind.TYPE(value)

    def space_field(self) -> tuple[Any, Any]:
        """Type and field of the key in ``[space]``."""
        model: Any = self.kind
        if issubclass(self.kind, Range):
            end, name = (self.kind.TYPE, self._limited()), f"{self.name}_range"
            model = create_model(name, __base__=self.kind, low=end, high=end)
        how = {PowersOfTwo: ": the powers of two in the range", Choices: ": the choices"}
        is_sampled_so = self.kind.is_continuous and self.scale == "logarithmic"
        scale = "; sampled on a logarithmic scale" if is_sampled_so else ""
        description = f"{self.meaning}{how.get(self.kind, scale)}."
        if self.default is None:
            return model | None, Field(default=None, description=description)
        default = model(low=self.default[0], high=self.default[1])
        return model, Field(default=default, description=description)

    def value_field(self) -> tuple[Any, Any]:
        """Type and field of the key in ``[[enqueue]]``; left out where the space has none."""
        if self.default is not None:
            return self.kind.TYPE, self._limited(description=f"{self.meaning}.")
        description = f"{self.meaning}; given where the space varies it."
        return self.kind.TYPE | None, self._limited(default=None, description=description)

    def _limited(self, **options: Any) -> Any:
        return Field(ge=self.at_least, gt=self.above, le=self.at_most, **options)

    def problem(self, values: Values | None, given: Any) -> str | None:
        """Why the values of a space (None: it does not vary this) do not hold the given one."""
        if values is None:
            rule = None if given is None else "be left out (not in the space)"
        else:
            is_held = given is not None and values.contains(given)
            rule = None if is_held else f"{values.rule} (the space)"
        return rule and f"{self.name} must {rule} but got {in_toml(given)}"

    def shown(self, values: Values) -> str:
        """Such as ``0.1 to 1, logarithmic``."""
        return f"{values}, {self.scale}" if self.kind.is_continuous else str(values)

    def parse(self, text: str) -> Any:
        """The value that ``str`` made the text of; ValueError where there is none."""
        if self.kind.TYPE is not bool:
            return self.kind.TYPE(text)
        if text not in ("True", "False"):
            raise ValueError(f"{self.name} must be True or False but got {text!r}")
        return text == "True"

    def bounds(self, values: Range) -> Bounds:
        """Where values may lie that have an order."""
        is_logarithmic, is_continuous = self.scale == "logarithmic", self.kind.is_continuous
        return Bounds(
            f"space.{self.name}", *values.ends, is_logarithmic, is_continuous, self.at_least
        )


DEPTH = Dimension(
    name="depth",
    meaning="How many dense layers a tower has",
    kind=WholeNumbers,
    default=(1, 4),
    at_least=1,
    at_most=8,
)
WIDTH = Dimension(
    name="width",
    meaning="How wide a layer is, never widening toward the output",
    kind=PowersOfTwo,
    default=(16, 256),
    at_least=1,
    at_most=4096,
    scale="logarithmic",
)
"""Together they are the layers of a tower, and the parameters of :func:`width_names`."""

DIMENSIONS: tuple[Dimension, ...] = (
    Dimension(
        name="embedding_dimension",
        meaning="Dimension of the embedding of every feature",
        kind=PowersOfTwo,
        default=(16, 128),
        at_least=1,
        at_most=1024,
        scale="logarithmic",
    ),
    Dimension(
        name="learning_rate",
        meaning="Learning rate of the optimizer",
        default=(0.005, 1.0),
        above=0,
        at_most=100,
        scale="logarithmic",
    ),
    Dimension(
        name="normalize",
        meaning="Whether final embeddings have length 1, so that a score is a cosine",
        kind=Choices,
    ),
    Dimension(
        name="temperature",
        meaning="Scores are divided by it before a softmax",
        above=0,
        at_most=1000,
        scale="logarithmic",
        only_ranking=True,
    ),
    Dimension(
        name="dropout",
        meaning="Share of the final embeddings' elements that a training step leaves out",
        at_least=0.0,
        at_most=0.99,
        only_ranking=True,
    ),
    Dimension(
        name="l2",
        meaning="Times the sum of squares of the weights",
        above=0,
        at_most=1000,
        scale="logarithmic",
        only_ranking=True,
    ),
    Dimension(
        name="rating_power",
        meaning="An interaction weighs its rating (in 0..1) to this power in a softmax",
        above=0,
        at_most=100,
        only_ranking=True,
    ),
    Dimension(
        name="half_life",
        meaning="Days after which an interaction weighs half as much in a softmax",
        above=0,
        at_most=100_000,
        scale="logarithmic",
        only_ranking=True,
    ),
    Dimension(
        name="history",
        meaning="How many of a user's latest items the query tower reads",
        kind=PowersOfTwo,
        at_least=1,
        at_most=4096,
        scale="logarithmic",
    ),
    Dimension(
        name="history_dropout",
        meaning="Share of each history that a training step leaves out",
        at_least=0.0,
        at_most=0.99,
    ),
    Dimension(
        name="spectral_dimension",
        meaning="Dimensions of a linear autoencoder in closed form, beside what is trained",
        kind=PowersOfTwo,
        at_least=1,
        at_most=4096,
        scale="logarithmic",
        only_ranking=True,
    ),
    Dimension(
        name="spectral_penalty",
        meaning="Penalty of the closed form: the larger, the more it is about what is popular",
        above=0,
        at_most=1_000_000_000,
        scale="logarithmic",
        only_ranking=True,
    ),
    Dimension(
        name="spectral_weight",
        meaning="How many times the score in closed form counts, beside the trained one",
        above=0,
        at_most=1_000_000,
        scale="logarithmic",
        only_ranking=True,
    ),
)
"""All but the layers, in the order in which a trial is asked for them."""


OWN_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
"""Of dimensions of one's own: such as code asks for by name, and trackers hold."""

WHOLE, CONTINUOUS = ({"low", "high"}, {"low", "high", "log"})


def own_dimension(name: str, given: Any) -> tuple[Dimension, Values]:
    """The dimension that a study file gives a part of one's own, and its values.

    ``{ low, high }`` of whole numbers or of others, the latter with ``log = true`` on a logarithmic
    scale; or an array of choices.

    Raises:
        ValueError: it is neither, or has another name than code asks for.
    """
    meaning = "What a part of the study asks for"
    if not OWN_NAME.fullmatch(name):
        raise ValueError(f"must be named by small letters, digits and _ but got {name[:80]!r}")
    if isinstance(given, list | tuple):
        if not all(isinstance(each, bool | int | float | str) for each in given):
            raise ValueError("must be an array of numbers, texts, true or false")
        return (
            Dimension(name=name, meaning=meaning, kind=OwnChoices, is_own=True),
            OwnChoices.model_validate(given),
        )
    if not isinstance(given, Mapping) or not WHOLE <= given.keys() <= CONTINUOUS:
        raise ValueError("must be { low, high }, with log = true if need be, or an array")
    log, ends = given.get("log", False), {end: given[end] for end in ("low", "high")}
    if log not in (True, False) or (log and not min(map(_number, ends.values())) > 0):
        raise ValueError("must have log = true or false, and ends above 0 where it is true")
    is_whole = all(type(end) is int for end in ends.values()) and not log
    kind: type[Range] = WholeNumbers if is_whole else Range
    values = kind.model_validate(ends)
    scale: Scale = "logarithmic" if log else "linear"
    return Dimension(name=name, meaning=meaning, kind=kind, scale=scale, is_own=True), values


def _number(given: Any) -> float:
    return given if isinstance(given, int | float) else 1.0  # what is none is refused with its type


def exponent_of(power: int) -> int:
    """The base-2 logarithm; ValueError where it is no whole number."""
    if power < 1 or power.bit_count() != 1:
        raise ValueError(f"a width or dimension must be a power of two but got {power}")
    return power.bit_length() - 1


def width_names(depth: int) -> list[str]:
    """The names of the widths of ``depth`` layers, counted from the output."""
    return ["output_width", *(f"hidden_width_{layer}" for layer in range(1, depth))]


def in_toml(value: bool | float | str | None) -> str:
    """A value as a study file has it; a text without its quotes."""
    if isinstance(value, str):
        return value
    return "nothing" if value is None else str(value).lower()
