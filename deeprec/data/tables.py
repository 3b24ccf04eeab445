"""The star schema: interactions are four numbers a row, features live in tables indexed by id.

A tower is built from a :class:`FeatureSchema` and reads rows of a :class:`FeatureTable`;
neither knows MovieLens.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

FeatureKind = Literal[
    "id", "categorical", "discretized", "cross", "text", "tags", "vector", "history"
]
MULTIVALUED_KINDS: tuple[FeatureKind, ...] = ("text", "tags", "history")

IntArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float32]
Code = int | list[int] | list[float]
"""What a tower is given of one value of a feature."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature of a user or a movie: integers in ``[0, vocabulary_size)``, or a vector.

    ``length`` is the values a row: ``text``, ``tags`` and ``history`` have several, padded with 0.
    A ``vector`` has ``vocabulary_size`` numbers, each of them with a row of the embedding.
    """

    name: str
    kind: FeatureKind
    vocabulary_size: int
    length: int = 1

    def __post_init__(self) -> None:
        if self.kind not in get_args(FeatureKind):
            allowed = ", ".join(get_args(FeatureKind))
            raise ValueError(
                f"kind of {self.name!r} must be one of {allowed} but got {self.kind!r}"
            )
        if self.vocabulary_size < 1 or self.length < 1:
            raise ValueError(
                f"vocabulary_size and length of {self.name!r} must be at least 1 "
                f"but got {self.vocabulary_size} and {self.length}"
            )
        if self.length > 1 and not self.is_multivalued:
            raise ValueError(
                f"{self.name!r} is {self.kind} and must have length 1 but got {self.length}"
            )

    @property
    def is_multivalued(self) -> bool:
        """Whether a row holds several values (padded with 0) rather than one."""
        return self.kind in MULTIVALUED_KINDS

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of a row of its column."""
        if self.kind == "vector":
            return (self.vocabulary_size,)
        return (self.length,) if self.is_multivalued else ()


@dataclass(frozen=True)
class FeatureSchema:
    """The features of one side, in the order in which a tower concatenates them.

    Exactly one feature is of kind ``id``: the row number in the table, or what stands for an
    unknown row.
    """

    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        names = [feature.name for feature in self.features]
        if len(set(names)) != len(names):
            raise ValueError(f"feature names must be unique but got {names}")
        ids = [feature.name for feature in self.features if feature.kind == "id"]
        if len(ids) != 1:
            raise ValueError(f"a schema must have exactly one feature of kind id but got {ids}")

    @property
    def id_feature(self) -> Feature:
        """The feature that names the row."""
        return next(feature for feature in self.features if feature.kind == "id")

    def to_config(self) -> list[dict[str, Any]]:
        """The schema as plain values, for a Keras config or a JSON file."""
        return [asdict(feature) for feature in self.features]

    @classmethod
    def from_config(cls, config: list[dict[str, Any]]) -> Self:
        """The schema that :meth:`to_config` wrote."""
        return cls(tuple(Feature(**feature) for feature in config))


@dataclass(frozen=True)
class FeatureTable:
    """The features of every user, or of every movie; row ``i`` belongs to id ``i``.

    Attributes:
        schema: what the columns are.
        columns: int32 arrays by feature name, ``[rows]``, or ``[rows, length]`` where the
            feature is multivalued; float32 ``[rows, dimension]`` of a vector. Row 0 is reserved.
            The id is that of the row; or 1, in data of one's own, where training does not know
            the row.
    """

    schema: FeatureSchema
    columns: Mapping[str, npt.NDArray[Any]]

    def __post_init__(self) -> None:
        expected = {feature.name for feature in self.schema.features}
        if set(self.columns) != expected:
            raise ValueError(f"columns must be {sorted(expected)} but got {sorted(self.columns)}")
        for feature in self.schema.features:
            column = self.columns[feature.name]
            shape = (self.rows, *feature.row_shape)
            kind = np.dtype(np.float32 if feature.kind == "vector" else np.int32)
            if column.shape != shape or column.dtype != kind:
                raise ValueError(
                    f"column {feature.name!r} must be {kind} of shape {shape} "
                    f"but got {column.dtype} of shape {column.shape}"
                )
            if feature.kind == "vector":
                if not np.isfinite(column).all():
                    raise ValueError(f"column {feature.name!r} must hold finite numbers")
            elif column.size and (column.min() < 0 or column.max() >= feature.vocabulary_size):
                raise ValueError(
                    f"column {feature.name!r} must lie in [0, {feature.vocabulary_size}) "
                    f"but got {column.min()} to {column.max()}"
                )

    @property
    def rows(self) -> int:
        """The number of rows, row 0 included."""
        return len(self.columns[self.schema.id_feature.name])

    def take(self, ids: IntArray) -> dict[str, npt.NDArray[Any]]:
        """The features of the given ids, ``[batch]`` or ``[batch, length]``, by name."""
        return {name: column[ids] for name, column in self.columns.items()}


SECONDS_OF_DAY = 24 * 60 * 60
SECONDS_UNTIL = 10**11
"""Times below it are seconds since 1970, as MovieLens has them; others are microseconds."""

LIKED_ABOVE = 0.9
"""A label above this (five stars, rescaled to 1.0) counts as liked, as in the tutorial."""


@dataclass(frozen=True)
class Interactions:
    """Ratings as four numbers a row.

    Attributes:
        user_id: int32 ``[n]``, row of the user table.
        movie_id: int32 ``[n]``, row of the movie table.
        rating: float32 ``[n]``, rescaled to 0..1; the label.
        timestamp: integers ``[n]``, seconds since 1970 of MovieLens, else microseconds.
        relevant: bool ``[n]``, whether a recommendation should have found the row; five stars are
            where it is None.
    """

    user_id: IntArray
    movie_id: IntArray
    rating: FloatArray
    timestamp: npt.NDArray[np.integer]
    relevant: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        shapes = {column.shape for column in self._columns.values()}
        if len(shapes) != 1 or self.user_id.ndim != 1:
            raise ValueError(f"columns must be one-dimensional and equally long but got {shapes}")

    @property
    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        return {name: column for name, column in vars(self).items() if column is not None}

    def __len__(self) -> int:
        return len(self.user_id)

    def __getitem__(self, rows: slice | npt.NDArray[np.integer | np.bool_]) -> Self:
        """The given rows, in the given order; or those where a mask is true."""
        return type(self)(**{name: column[rows] for name, column in self._columns.items()})

    def followed_by(self, other: Self) -> Self:
        """These rows, then the other's."""
        columns = other._columns
        return type(self)(
            **{name: np.concatenate([own, columns[name]]) for name, own in self._columns.items()}
        )

    @property
    def days_before_the_last(self) -> npt.NDArray[np.float64]:
        """``[n]``, how old each row is when the newest is made; zeros where there are no times."""
        last = self.timestamp.max(initial=0)
        of_day = SECONDS_OF_DAY * (1_000_000 if last >= SECONDS_UNTIL else 1)
        days: npt.NDArray[np.float64] = (last - self.timestamp.astype(np.int64)) / of_day
        return days

    def pairs(self, items: int) -> npt.NDArray[np.int64]:
        """Each user's item once, as ``user_id * items + movie_id`` with so many items, ascending.

        They are sorted, as ``np.unique`` hashes, which takes many times as long.
        """
        pairs = self.user_id.astype(np.int64) * items + self.movie_id
        pairs.sort()
        return pairs[np.diff(pairs, prepend=-1) != 0]

    @property
    def liked(self) -> npt.NDArray[np.bool_]:
        """``[n]``, whether the row is relevant: a five-star rating, unless the data says more."""
        return self.rating > LIKED_ABOVE if self.relevant is None else self.relevant

    @property
    def liked_once(self) -> npt.NDArray[np.bool_]:
        """``[n]``, the liked rows without those that repeat a user's movie."""
        rows = np.flatnonzero(self.liked)
        movies = int(self.movie_id.max(initial=0)) + 1
        pairs = self.user_id[rows].astype(np.int64) * movies + self.movie_id[rows]
        once = np.zeros(len(self), bool)
        once[rows[np.unique(pairs, return_index=True)[1]]] = True
        return once
