"""From values that people know to the integers that a tower looks up: learned once, kept as data.

What is learned of a feature, its bins or its vocabulary, is learned from the users (or items) that
training knows, each counted once. An encoding is plain values, kept beside the prepared arrays and
in every model, so that a user in no table is encoded in the same way.

The integers: numbers and times are 0 where there is no value, then a bin; categories are 0 where
there is no value, 1 for a value that training does not know, then the values by frequency; tags and
words are padded with 0, and 1 where training does not know them. A vector stays the numbers that it
is, zeros where there is none.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deeprec.data.tables import Feature, FloatArray
from deeprec.data.tables import FeatureKind as TableKind
from deeprec.errors import DataError, RequestError, printable
from deeprec.events.columns import nulls, plain, read_numbers, read_times, wrong
from deeprec.events.description import FeatureDescription, FeatureKind, TimeDescription
from deeprec.events.files import Frame

Code = int | list[int] | list[float]
"""What a tower is given of one value."""

UNKNOWN = 1
"""What stands for a value that training does not know."""

WORD = re.compile(r"\w+")
MOST_PAIRS = 1_000_000
NEARLY_UNIQUE = 0.9
"""A category of which so many values occur once says no more than the id."""

KINDS: Mapping[FeatureKind, TableKind] = {
    "number": "discretized",
    "datetime": "discretized",
    "category": "categorical",
    "cross": "cross",
    "tags": "tags",
    "text": "text",
    "vector": "vector",
}


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How one feature is encoded; plain values alone.

    Attributes:
        name: of the feature.
        kind: as the study file has it.
        boundaries: of numbers and times (microseconds since 1970): the lowest value of each bin but
            the first, ascending.
        values: of categories, tags and words: those that have a place, from 2 on.
        separator: between the tags of a text.
        length: how many tags or words count, or numbers a vector has.
        normalize: whether vectors are scaled to length 1.
        of: the two features of a cross.
        sizes: how many integers these two have.
    """

    name: str
    kind: FeatureKind
    boundaries: tuple[float, ...] = ()
    values: tuple[str | int, ...] = ()
    separator: str = "|"
    length: int = 1
    normalize: bool = False
    of: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The encoding that :meth:`to_config` wrote."""
        lists = {name: tuple(value) for name, value in config.items() if isinstance(value, list)}
        return cls(**{**config, **lists})

    def to_config(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @property
    def vocabulary_size(self) -> int:
        """How many integers there are; of a vector, how many numbers."""
        if self.kind == "vector":
            return self.length
        if self.kind in ("number", "datetime"):
            return len(self.boundaries) + 2
        return math.prod(self.sizes) if self.kind == "cross" else len(self.values) + 2

    @property
    def feature(self) -> Feature:
        """As a table's schema has it."""
        length = 1 if self.kind == "vector" else self.length
        return Feature(
            name=self.name,
            kind=KINDS[self.kind],
            vocabulary_size=self.vocabulary_size,
            length=length,
        )

    def encode(self, value: Any) -> Code:
        """The integer of a value that a person gives, or those of its tags or words, or a vector.

        Raises:
            RequestError: it is no value of this kind.
        """
        if self.kind == "vector":
            return self._vector(value)
        if self.kind in ("tags", "text"):
            words = [] if value is None else _tokens(value, self)
            codes = [self._place(word) for word in words[: self.length]]
            return codes + [0] * (self.length - len(codes))
        if value is None:
            return 0
        if self.kind == "category":
            return self._place(_category(value))
        return int(np.searchsorted(self.boundaries, self._number(value), side="right")) + 1

    def _vector(self, value: Any) -> list[float]:
        try:
            if isinstance(value, str):
                value = json.loads(value)
            vector = np.asarray(np.zeros(self.length) if value is None else value, np.float32)
        except (TypeError, ValueError):
            vector = np.zeros(0, np.float32)
        if vector.shape != (self.length,) or not np.isfinite(vector).all():
            raise RequestError(
                f"{self.name} must be {self.length} numbers such as [0.1, ...] but got "
                f"{printable(repr(value), 80)}"
            )
        scaled: list[float] = (_of_length_one(vector) if self.normalize else vector).tolist()
        return scaled

    def _place(self, value: str | int) -> int:
        return self._places.get(str(value), UNKNOWN)

    @property
    def _places(self) -> Mapping[str, int]:
        if "_index" not in self.__dict__:
            index = {str(value): place for place, value in enumerate(self.values, start=2)}
            self.__dict__["_index"] = index
        found: Mapping[str, int] = self.__dict__["_index"]
        return found

    def _number(self, value: Any) -> float:
        if self.kind == "datetime" and isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError as error:
                raise RequestError(
                    f"{self.name} must be a time such as 2025-03-01 but got "
                    f"{printable(repr(value), 80)}"
                ) from error
            return moment.timestamp() * 1e6
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise RequestError(
                f"{self.name} must be a number but got {printable(repr(value), 80)}"
            ) from error
        if not math.isfinite(number):
            raise RequestError(f"{self.name} must be a finite number but got {number}")
        return number


def _category(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _tokens(value: Any, encoding: Encoding) -> list[str]:
    """The tags, or the words in lower case, of a value."""
    if not isinstance(value, str):
        return [_category(each) for each in value if each is not None]
    if encoding.kind == "text":
        return WORD.findall(value.lower())
    return [tag for tag in (part.strip() for part in value.split(encoding.separator)) if tag]


@dataclass(frozen=True)
class Encoded:
    """A feature of all rows of a table.

    Attributes:
        encoding: how it was encoded.
        codes: int32 ``[rows]``, or ``[rows, length]``; float32 of vectors.
    """

    encoding: Encoding
    codes: npt.NDArray[Any]


class _Asked(NamedTuple):
    """A feature to learn: its name, its column in a table, and bool ``[rows]`` of known rows."""

    name: str
    column: str
    described: FeatureDescription
    frame: Frame
    known: npt.NDArray[np.bool_]


def encode_features(
    frame: Frame, features: Mapping[str, FeatureDescription], known: npt.NDArray[np.bool_]
) -> list[Encoded]:
    """Learns and encodes the features of the rows of a table.

    Args:
        frame: a row a user, or a row an item.
        features: by name.
        known: bool ``[rows]``, those that training knows.

    Raises:
        DataError: a column is not what its kind needs, or says nothing.
    """
    encoded: dict[str, Encoded] = {}
    for name, described in features.items():
        if described.kind != "cross":
            asked = _Asked(name, described.column or name, described, frame, known)
            encoded[name] = _MAKERS[described.kind](asked)
    for name, described in features.items():
        if described.kind == "cross":
            encoded[name] = _crossed(name, described, encoded)
    return [encoded[name] for name in features]


def _says_nothing(frame: Frame, column: str) -> DataError:
    return DataError(
        f"{frame.name}: the column {column!r} has the same value in all rows that are trained on, "
        "so it says nothing; leave the feature out"
    )


def _numeric(asked: _Asked) -> Encoded:
    name, column, described, frame, known = asked
    if described.kind == "number":
        numbers = read_numbers(frame, column)
    else:
        numbers = np.full(len(frame), np.nan)
        present = ~nulls(plain(frame, column))
        rows = np.flatnonzero(present)
        part = Frame(frame.table.take(pa.array(rows)), frame.files, frame.starts, frame.described)
        numbers[present] = read_times(part, TimeDescription(column=column))
    if (infinite := np.isinf(numbers)).any():
        raise wrong(frame, column, infinite, "hold finite numbers", "mend them")
    learned = numbers[known & ~np.isnan(numbers)]
    if len(np.unique(learned)) + bool(np.isnan(numbers[known]).any()) < 2:
        raise _says_nothing(frame, column)
    boundaries: tuple[float, ...] = ()
    if len(learned):
        boundaries = tuple(float(each) for each in _boundaries(frame, column, learned, described))
    encoding = Encoding(name=name, kind=described.kind, boundaries=boundaries)
    bins = np.searchsorted(boundaries, numbers, side="right").astype(np.int32) + 1
    return Encoded(encoding, np.where(np.isnan(numbers), 0, bins).astype(np.int32))


def _boundaries(
    frame: Frame, column: str, learned: npt.NDArray[np.float64], described: FeatureDescription
) -> npt.NDArray[np.float64]:
    if described.kind == "datetime" or described.scale == "quantile":
        shares = np.arange(1, described.bins) / described.bins
        found = np.unique(np.quantile(learned, shares, method="higher"))
        return found[found > learned.min()]
    low, high = learned.min(), learned.max()
    if low == high:
        return np.zeros(0)
    if described.scale == "linear":
        return np.linspace(low, high, described.bins + 1)[1:-1]
    if low <= 0:
        raise DataError(
            f"{frame.name}: the column {column!r} must be above 0 for the scale 'log' but has "
            f"{low:g}; choose the scale 'quantile'"
        )
    return np.geomspace(low, high, described.bins + 1)[1:-1]


def _categorical(asked: _Asked) -> Encoded:
    name, column, described, frame, known = asked
    values = plain(frame, column)
    if pa.types.is_nested(values.type):
        raise DataError(
            f"{frame.name}: the column {column!r} holds {values.type} and is no category; "
            "its kind may be 'tags'"
        )
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
        if bool(pc.all(pc.equal(pc.floor(values), values)).as_py()):
            values = values.cast(pa.int64())
    text = values.cast(pa.string())
    vocabulary, counts = _vocabulary([text.filter(pa.array(known))], described)
    if counts.size <= 1 and not nulls(values)[known].any():
        raise _says_nothing(frame, column)
    if len(vocabulary) > 1000 and (counts == 1).mean() > NEARLY_UNIQUE and described.min_count == 1:
        raise DataError(
            f"{frame.name}: the column {column!r} has {counts.size:,} values of which "
            f"{(counts == 1).mean():.0%} occur once, so it says no more than the id; set "
            "min_count, or leave the feature out"
        )
    places = pc.index_in(text, value_set=pa.array(vocabulary, pa.string()))
    codes = np.asarray(pc.fill_null(places, -1).to_numpy(), np.int32) + 2
    encoding = Encoding(name=name, kind="category", values=tuple(vocabulary))
    return Encoded(encoding, np.where(nulls(values), 0, codes).astype(np.int32))


def _vocabulary(
    chunks: Iterable[pa.ChunkedArray | pa.Array], described: FeatureDescription
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The values that get a place, the most frequent first, and how often each value occurs."""
    counted = pc.value_counts(
        pa.chunked_array([c for chunk in chunks for c in _chunks(chunk)], pa.string())
    )
    values, counts = counted.field("values"), counted.field("counts").to_numpy()
    present = np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False))
    words = [str(word) for word in values.filter(pa.array(present)).to_pylist()]
    counts = counts[present]
    order = sorted(range(len(words)), key=lambda at: (-counts[at], words[at]))
    kept = [words[at] for at in order if counts[at] >= described.min_count]
    return kept[: described.vocabulary], counts


def _chunks(values: pa.ChunkedArray | pa.Array) -> Sequence[pa.Array]:
    return values.chunks if isinstance(values, pa.ChunkedArray) else [values]


def _several(asked: _Asked) -> Encoded:
    """Tags or words: the first of each row, padded with 0."""
    name, column, described, frame, known = asked
    values = plain(frame, column)
    lists = _lists(frame, column, values, described)
    starts = lists.offsets.to_numpy()
    flat = lists.flatten().cast(pa.string())
    sizes = np.diff(starts)
    of_row = np.repeat(np.arange(len(sizes)), sizes)
    vocabulary, _ = _vocabulary([flat.filter(pa.array(known[of_row]))], described)
    if not vocabulary:
        raise _says_nothing(frame, column)
    places = pc.index_in(flat, value_set=pa.array(vocabulary, pa.string()))
    codes = np.asarray(pc.fill_null(places, -1).to_numpy(zero_copy_only=False), np.int32) + 2
    length = max(1, min(described.length, int(sizes.max(initial=1))))
    position = np.arange(len(codes)) - np.repeat(starts[:-1] - starts[0], sizes)
    padded = np.zeros((len(sizes), length), np.int32)
    fits = position < length
    padded[of_row[fits], position[fits]] = codes[fits]
    encoding = Encoding(
        name=name,
        kind=described.kind,
        values=tuple(vocabulary),
        separator=described.separator,
        length=length,
    )
    return Encoded(encoding, padded)


def _lists(
    frame: Frame, column: str, values: pa.ChunkedArray, described: FeatureDescription
) -> pa.ListArray:
    """The tags or words of each row, without those that are empty."""
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        rows = [[_category(v) for v in row or () if v is not None] for row in values.to_pylist()]
        return pa.array(rows, pa.list_(pa.string()))
    if not pa.types.is_string(values.type):
        raise DataError(
            f"{frame.name}: the column {column!r} must hold text or lists for the kind "
            f"{described.kind!r} but holds {values.type}"
        )
    like = Encoding(name=column, kind=described.kind, separator=described.separator)
    rows = [[] if text is None else _tokens(text, like) for text in values.to_pylist()]
    return pa.array(rows, pa.list_(pa.string()))


def _vectors(asked: _Asked) -> Encoded:
    """Lists of as many numbers in every row; zeros where there is none."""
    name, column, described, frame, known = asked
    values = plain(frame, column)
    kind = values.type
    if not (
        (
            pa.types.is_list(kind)
            or pa.types.is_large_list(kind)
            or pa.types.is_fixed_size_list(kind)
        )
        and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))
    ):
        raise DataError(
            f"{frame.name}: the column {column!r} must hold lists of numbers for the kind 'vector' "
            f"but holds {kind}; Parquet and JSON lines have such lists"
        )
    sizes = pc.list_value_length(values)
    present = np.asarray(pc.is_valid(values).to_numpy())
    if not present[known].any():
        raise _says_nothing(frame, column)
    length = described.dimension or int(sizes.drop_null()[0].as_py())
    differing = present & (np.asarray(pc.fill_null(sizes, length).to_numpy()) != length)
    if differing.any():
        must, then = f"hold {length} numbers in every row", "set dimension, or mend them"
        raise wrong(frame, column, differing, must, then)
    flat = pc.list_flatten(values).cast(pa.float32()).to_numpy()
    vectors = np.zeros((len(frame), length), np.float32)
    vectors[present] = flat.reshape(-1, length)
    bad = np.asarray(~np.isfinite(vectors).all(axis=1))
    if bad.any():
        raise wrong(frame, column, bad, "hold finite numbers", "mend them, or leave the list out")
    if described.normalize:
        vectors = _of_length_one(vectors)
    encoding = Encoding(name=name, kind="vector", length=length, normalize=described.normalize)
    return Encoded(encoding, vectors)


def _of_length_one(vectors: FloatArray) -> FloatArray:
    """Vectors ``[..., dimension]`` scaled to length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


def _crossed(name: str, described: FeatureDescription, encoded: Mapping[str, Encoded]) -> Encoded:
    assert described.of is not None
    one, other = (encoded[each] for each in described.of)
    for each in (one, other):
        if each.codes.ndim > 1:
            raise DataError(
                f"the feature {name!r} must cross features with one value a row but "
                f"{each.encoding.name!r} has several"
            )
    sizes = (one.encoding.vocabulary_size, other.encoding.vocabulary_size)
    if math.prod(sizes) > MOST_PAIRS:
        raise DataError(
            f"the feature {name!r} would have {math.prod(sizes):,} pairs, more than "
            f"{MOST_PAIRS:,}; set vocabulary or bins of the two"
        )
    encoding = Encoding(name=name, kind="cross", of=described.of, sizes=sizes)
    return Encoded(encoding, (one.codes * sizes[1] + other.codes).astype(np.int32))


_MAKERS: Mapping[FeatureKind, Callable[[_Asked], Encoded]] = {
    "number": _numeric,
    "datetime": _numeric,
    "category": _categorical,
    "tags": _several,
    "text": _several,
    "vector": _vectors,
}


@dataclass(frozen=True)
class Encoder:
    """Encodes what is said of a user, or an item, that is in no table."""

    encodings: tuple[Encoding, ...]

    @classmethod
    def of(cls, configs: Iterable[Mapping[str, Any]]) -> Self:
        """The encoder of some encodings, as plain values."""
        return cls(tuple(map(Encoding.from_config, configs)))

    @property
    def questions(self) -> tuple[str, ...]:
        """The features that may be given."""
        return tuple(each.name for each in self.encodings if each.kind != "cross")

    def features_of(self, given: Mapping[str, Any]) -> dict[str, Code]:
        """The integers of all features; those that are not given have no value.

        Raises:
            RequestError: there is no such feature, or a value is none of its kind.
        """
        if unknown := sorted(set(given) - set(self.questions)):
            raise RequestError(
                f"there is no feature {unknown[0]!r}; there are {', '.join(self.questions)}"
            )
        codes = {
            each.name: each.encode(given.get(each.name))
            for each in self.encodings
            if each.kind != "cross"
        }
        for each in self.encodings:
            if each.kind == "cross":
                one, other = (codes[name] for name in each.of)
                assert isinstance(one, int)
                assert isinstance(other, int)
                codes[each.name] = one * each.sizes[1] + other
        return codes
