"""Encodings learned from the columns of a table, and all of its rows encoded.

What is learned of a feature, its bins or its vocabulary, is learned from the users (or items) that
training knows, each counted once.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deeprec.errors import DataError
from deeprec.events.columns import nulls, plain, read_numbers, read_times, wrong
from deeprec.events.description import FeatureDescription, FeatureKind, TimeDescription
from deeprec.events.encoding import Encoding, category_of, of_length_one, tokens
from deeprec.events.files import Frame

MOST_PAIRS = 1_000_000
NEARLY_UNIQUE = 0.9
"""A category of which so many values occur once says no more than the id."""


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
        rows = [[category_of(v) for v in row or () if v is not None] for row in values.to_pylist()]
        return pa.array(rows, pa.list_(pa.string()))
    if not pa.types.is_string(values.type):
        raise DataError(
            f"{frame.name}: the column {column!r} must hold text or lists for the kind "
            f"{described.kind!r} but holds {values.type}"
        )
    like = Encoding(name=column, kind=described.kind, separator=described.separator)
    rows = [[] if text is None else tokens(text, like) for text in values.to_pylist()]
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
        vectors = of_length_one(vectors)
    encoding = Encoding(name=name, kind="vector", length=length, normalize=described.normalize)
    return Encoded(encoding, vectors)


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
