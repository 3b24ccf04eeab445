"""What a study file says of data of one's own: files, columns, and what they mean.

These models are the grammar of ``[data]`` where it names ``interactions``. What only the files can
tell, such as whether a column exists, is checked when they are read.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

FileFormat = Literal["csv", "jsonl", "parquet"]
Duplicates = Literal["error", "first", "last", "sum", "keep"]
FeatureKind = Literal["number", "category", "tags", "text", "datetime", "vector", "cross"]
TimeUnit = Literal["s", "ms", "us", "ns"]

TAKEN: Mapping[str, tuple[str, ...]] = {
    "users": ("user_id", "k", "liked", "history"),
    "items": ("item_id",),
}
"""What towers and requests have beside the features of a side, which are called otherwise."""

Name = Annotated[str, Field(min_length=1, max_length=200)]


class Described(BaseModel):
    """A table of the study file: immutable, strictly typed, without unknown keys or NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def shown_path(path: str) -> str:
    """A path; or an address, without credentials and options."""
    return re.sub(r"^(\w+://)([^@/?]*@)?([^?]*).*", r"\1\3", path)


def _named(key: str) -> BeforeValidator:
    """Accepts a plain string in the place of a table, as the value of its most important key."""
    return BeforeValidator(lambda given: {key: given} if isinstance(given, str) else given)


class FilesDescription(Described):
    """Where a table lies: a file, a pattern (``events/*.parquet``) or a folder, and how to read it.

    A path is relative to the folder given with ``--data-dir``, else to that of the study file.
    """

    path: str = Field(min_length=1, max_length=1000)
    """A file, a pattern or a folder; or its address, ``s3://``, ``gs://`` or ``file://``."""

    @property
    def shown(self) -> str:
        """The path, or the address without credentials and options."""
        return shown_path(self.path)

    format: FileFormat | None = None
    """That of the files' names when not given; ``.gz``, ``.bz2`` and ``.zst`` are unpacked."""

    separator: str | None = Field(default=None, min_length=1, max_length=1)
    """Between the columns of a CSV file: ``,``, or a tab where the file is called ``.tsv``."""

    encoding: str = "utf-8"
    """Of a CSV file, such as ``latin-1``."""

    decimal: Literal[".", ","] = "."
    """Between a number and its fraction, in a CSV file."""


Files = Annotated[FilesDescription, _named("path")]


class TimeDescription(Described):
    """The column with the time of an event.

    Numbers count from 1970 in ``unit``. Text is ISO 8601 unless ``format`` says how to read it, as
    ``strptime`` does; without a time zone of its own it is the time of ``zone``.
    """

    column: Name
    """The column's name."""

    unit: TimeUnit | None = None
    """Of numbers: seconds, milliseconds, microseconds or nanoseconds since 1970."""

    format: str | None = None
    """Of text, such as ``%d.%m.%Y %H:%M``."""

    zone: str = "UTC"
    """Of times that do not name theirs, such as ``Europe/Berlin``."""

    @model_validator(mode="after")
    def _check_one_way(self) -> Self:
        if self.unit and self.format:
            raise ValueError("must have a unit (of numbers) or a format (of text) but got both")
        return self


class LabelDescription(Described):
    """The column that says how much an event means: a number, or the kind of the event."""

    column: Name
    """The column's name."""

    range: tuple[float, float] | None = Field(default=None, strict=False)
    """The lowest and the highest number; labels are rescaled to 0..1."""

    weights: Mapping[str, Annotated[float, Field(ge=0, le=1)]] | None = None
    """By the kind of an event, what it weighs in training, in 0..1; others are left out."""

    relevant: float | tuple[str, ...] | None = None
    """Which events a recommendation should have found: numbers from this one on, or these kinds;
    all of them when not given."""

    @model_validator(mode="before")
    @classmethod
    def _accept_arrays(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("relevant"), list):
            return {**given, "relevant": tuple(given["relevant"])}
        return given

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if (self.range is None) == (self.weights is None):
            raise ValueError(
                "must have a range (of numbers) or weights (of kinds of events), one of the two"
            )
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"must have a range from low to high but got {list(self.range)}")
        if self.weights is not None:
            relevant = self.relevant if isinstance(self.relevant, tuple) else None
            if self.relevant is not None and relevant is None:
                raise ValueError("must have a list of kinds as relevant, where it has weights")
            unknown = sorted(set(relevant or ()) - set(self.weights))
            if unknown:
                raise ValueError(
                    f"must have relevant kinds among its weights but got {unknown[0]!r}"
                )
            if not self.weights:
                raise ValueError("must have a weight for at least one kind of event")
        if self.range is not None and isinstance(self.relevant, tuple):
            raise ValueError("must have a number as relevant, where it has a range")
        return self


class CoreDescription(Described):
    """How many training rows a user, and an item, must have to be kept."""

    users: int = Field(default=1, ge=1)
    """Fewest training rows of a user."""

    items: int = Field(default=1, ge=1)
    """Fewest training rows of an item."""


class SplitDescription(Described):
    """``[data.split]``: what is trained on, validated on and tested on.

    ``time``: the latest rows test, those before them validate; each part begins at a date, or is a
    share of the rows. ``random``: shares of the shuffled rows. ``last_per_user``: each user's last
    row tests, the one before it validates. ``files``: each part lies in files of its own.
    """

    by: Literal["time", "random", "last_per_user", "files"] = "time"
    """How rows are divided."""

    validation: float | str | None = None
    """Share of the rows (``time``: those before the test part), the date from which on rows
    validate, or the files."""

    test: float | str | None = None
    """Share of the rows, the date from which on rows test, or the files."""

    SHARE: ClassVar[float] = 0.1

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        parts = {"validation": self.validation, "test": self.test}
        given = {name: value for name, value in parts.items() if value is not None}
        if len({type(value) for value in given.values()}) > 1:
            raise ValueError("must have two shares, two dates or two files but got a mixture")
        text = [name for name, value in given.items() if isinstance(value, str)]
        if self.by == "last_per_user" and given:
            raise ValueError(f"must leave {next(iter(given))} out where by is 'last_per_user'")
        if self.by == "random" and text:
            raise ValueError(f"must have a share as {text[0]} where by is 'random'")
        if self.by == "files" and len(text) < 2:
            raise ValueError("must name the files of validation and test where by is 'files'")
        if text and len(given) < 2:
            raise ValueError("must have dates for both, validation and test, or for neither")
        for name, value in given.items():
            if isinstance(value, float) and not 0 < value < 0.5:
                raise ValueError(
                    f"must have a share above 0 and below 0.5 as {name} but got {value}"
                )
        return self

    def share(self, part: Literal["validation", "test"]) -> float:
        """The share of a part."""
        value = getattr(self, part)
        return self.SHARE if value is None else float(value)


class FeatureDescription(Described):
    """A column, or several, of a user or an item, and what the tower makes of it."""

    kind: FeatureKind
    """What the values are; ``price = "number"`` stands for ``price = { kind = "number" }``."""

    column: Name | None = None
    """The column's name; that of the feature when not given."""

    bins: int = Field(default=10, ge=2, le=1000)
    """``number``, ``datetime``: so many bins, equally full in training rows."""

    scale: Literal["quantile", "linear", "log"] = "quantile"
    """``number``: whether bins are equally full, equally wide, or so as logarithms."""

    min_count: int = Field(default=1, ge=1)
    """``category``, ``tags``, ``text``: values that are rarer share one place."""

    vocabulary: int = Field(default=100_000, ge=1, le=10_000_000)
    """``category``, ``tags``, ``text``: so many of the most frequent values have a place each."""

    separator: str = "|"
    """``tags``: between the tags of a text; a column of lists has them apart."""

    length: int = Field(default=16, ge=1, le=1000)
    """``tags``, ``text``: how many of the first values count."""

    dimension: int | None = Field(default=None, ge=1, le=10_000)
    """``vector``: how many numbers each has; told by the first when not given."""

    normalize: bool = False
    """``vector``: whether each is scaled to length 1."""

    of: tuple[Name, Name] | None = Field(default=None, strict=False)
    """``cross``: the two features of which every pair of values has a place."""

    @field_validator("kind", mode="before")
    @classmethod
    def _check_kind(cls, given: object) -> object:
        if given == "id":
            raise ValueError(
                "must be 'category' for a column of ids; the id of a user or item itself is a "
                "feature already, unless ids = false leaves it out"
            )
        return given

    @model_validator(mode="after")
    def _check_cross(self) -> Self:
        if (self.kind == "cross") != (self.of is not None):
            raise ValueError("must have `of`, the names of two features, where its kind is 'cross'")
        return self


Feature = Annotated[FeatureDescription, _named("kind")]


class SideDescription(Described):
    """``[data.users]`` or ``[data.items]``: the table of one side, and its features.

    Without a table the features are columns of the interactions, one value for each user or item.
    """

    table: Files | None = None
    """Its files."""

    id: Name | None = None
    """The table's column with the ids; required where there is a table."""

    title: Name | None = None
    """``items``: the column with what people read."""

    features: Mapping[Name, Feature] = Field(default_factory=dict)
    """By its name, what each feature is."""

    ids: bool = True
    """Whether the id itself is a feature: what is learned of one user, or item, alone. Without it
    features, and of users their history, say all there is."""

    @model_validator(mode="after")
    def _check_table(self) -> Self:
        if self.table is not None and self.id is None:
            raise ValueError("must name the column with the ids, as id, where it has a table")
        for name, feature in self.features.items():
            for other in feature.of or ():
                if other not in self.features or self.features[other].kind == "cross":
                    raise ValueError(f"must cross two other features in {name} but got {other!r}")
        return self


class DataDescription(Described):
    """``[data]``: a log of events, and what is known of users and items."""

    interactions: Files
    """The files of the log; a text is their path."""

    user: Name
    """The column with the user's id: text (``00123`` is not ``123``) or whole numbers."""

    item: Name
    """The column with the item's id."""

    time: Annotated[TimeDescription, _named("column")] | None = None
    """When it happened; a text is the column."""

    label: LabelDescription | None = None
    """How much a row means; without it every row is relevant and weighs 1."""

    duplicates: Duplicates = "last"
    """What becomes of several rows of one user with one item: ``error`` refuses them, ``first``
    and ``last`` (in time) keep one, ``sum`` keeps one with the sum of their labels, at most 1,
    ``keep`` keeps all. Each part of the split by itself, but for ``error``: what a user has in an
    earlier part is left in a later one, and not asked for there unless ``repeats`` is true."""

    repeats: bool = False
    """Whether an item may be recommended again to a user who has it."""

    core: CoreDescription = CoreDescription()
    """How many training rows a user and an item must have."""

    unknown: Literal["error", "insert", "drop"] = "error"
    """What becomes of a row whose user or item is not in the table: it is refused, the user or item
    is inserted without features, or the row is dropped."""

    split: SplitDescription = SplitDescription()
    """Which rows train, validate and test."""

    users: SideDescription = SideDescription()
    """What is known of users."""

    items: SideDescription = SideDescription()
    """What is known of items."""

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if problem := next(self._problems(), None):
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        if self.user == self.item:
            yield f"must have two columns as user and item but got {self.user!r} twice"
        if self.time is None and self.split.by in ("time", "last_per_user"):
            yield (
                f"must name the column with the time, as time, to be split by {self.split.by!r}; "
                "or choose split.by = 'random'"
            )
        if self.users.title is not None:
            yield "must leave users.title out: only items have titles"
        if not self.items.ids and not self.items.features:
            yield "must have a feature of items where items.ids is false: nothing else tells them"
        label = None if self.label is None else self.label.column
        for side, described in (("users", self.users), ("items", self.items)):
            for name, feature in described.features.items():
                if name in TAKEN[side]:
                    yield (
                        f"must call the feature {side}.features.{name} otherwise, with column = "
                        f"{feature.column or name!r}: models have a {name} of their own"
                    )
                if (
                    described.table is None
                    and label is not None
                    and label == (feature.column or name)
                ):
                    yield f"must not use the label {label!r} as the feature {side}.features.{name}"

    @property
    def name(self) -> str:
        """What people call the data: the file of the log, without its folder."""
        return PurePath(self.interactions.shown).name

    @property
    def split_name(self) -> str:
        """How rows are divided, in a word."""
        return self.split.by

    @property
    def recipe(self) -> dict[str, Any]:
        """All but where the files lie, as JSON values: what the contents mean."""
        recipe = self.model_dump(mode="json", exclude_none=True)
        del recipe["interactions"]["path"]
        if self.split.by == "files":
            recipe["split"] = {"by": "files"}
        for side in ("users", "items"):
            if "table" in recipe[side]:
                del recipe[side]["table"]["path"]
        return recipe
