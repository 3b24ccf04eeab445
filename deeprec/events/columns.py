"""What columns mean: ids, numbers, labels and times, each row of them checked.

Every error names the column, how many rows are wrong, the first of them, and what to do.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deeprec.data.tables import FloatArray, IntArray
from deeprec.errors import DataError, printable
from deeprec.events.description import LabelDescription, TimeDescription, TimeUnit
from deeprec.events.files import Frame

NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
WHOLE = r"^\s*[+-]?\d+\s*$"
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
MICROSECONDS: Mapping[TimeUnit, float] = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
SHOWN = 3

Mask = npt.NDArray[np.bool_]
Times = npt.NDArray[np.int64]
"""Microseconds since 1970, UTC."""


@dataclass(frozen=True)
class Ids:
    """The ids of one column.

    Attributes:
        codes: int32 ``[rows]``, where in ``values`` each row's id is.
        values: the distinct ids, text or int64; ascending as they were read.
    """

    codes: IntArray
    values: pa.Array

    @property
    def are_text(self) -> bool:
        """Whether the ids are text rather than whole numbers."""
        return bool(pa.types.is_string(self.values.type))

    @property
    def as_text(self) -> "Ids":
        """The same ids, in the same order."""
        return Ids(self.codes, self.values.cast(pa.string()))


def wrong(frame: Frame, column: str, rows: Mask, must: str, then: str) -> DataError:
    """The error of the rows of a column that are not what they must be."""
    places = np.flatnonzero(rows)
    values = [frame.column(column)[int(row)].as_py() for row in places[:SHOWN]]
    shown = ", ".join(printable(repr(value), 40) for value in values)
    count = f"{len(places):,} row{'' if len(places) == 1 else 's'}"
    return DataError(
        f"{frame.where(int(places[0]))}: the column {column!r} must {must} but {count} hold "
        f"{'another value' if len(places) == 1 else 'other values'}, such as {shown}; {then}"
    )


def plain(frame: Frame, column: str) -> pa.ChunkedArray:
    """A column without the encodings of Parquet: text is ``string``, a category its value."""
    found = frame.column(column)
    if pa.types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    if pa.types.is_large_string(found.type) or pa.types.is_string_view(found.type):
        found = found.cast(pa.string())
    return found


def nulls(values: pa.ChunkedArray) -> Mask:
    """Which rows have no value, bool ``[rows]``."""
    return np.asarray(pc.is_null(values, nan_is_null=True).to_numpy())


def read_ids(frame: Frame, column: str) -> Ids:
    """The ids of a column.

    Raises:
        DataError: a row has none, they are no text and no whole numbers, or two of them differ in
            white space alone.
    """
    values = plain(frame, column)
    kind = values.type
    if (missing := nulls(values)).any():
        raise wrong(frame, column, missing, "have an id in every row", "remove these rows")
    if pa.types.is_floating(kind):
        example = values[0].as_py()
        raise DataError(
            f"{frame.name}: the column {column!r} must hold ids but holds numbers with fractions, "
            f"such as {example!r}; write them as whole numbers or as text"
        )
    if pa.types.is_integer(kind):
        values = values.cast(pa.int64())
    elif not pa.types.is_string(kind):
        raise DataError(
            f"{frame.name}: the column {column!r} must hold ids, text or whole numbers, but holds "
            f"{kind}"
        )
    if not len(values):
        return Ids(np.zeros(0, np.int32), pa.array([], values.type))
    if pa.types.is_integer(values.type) and (dense := _dense_ids(values.to_numpy())):
        return dense
    encoded = values.dictionary_encode().combine_chunks()
    distinct, codes = encoded.dictionary, encoded.indices.to_numpy()
    order = pc.array_sort_indices(distinct).to_numpy()
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    found = Ids(place[codes], distinct.take(pa.array(order)))
    _check_white_space(frame, column, found)
    return found


def _dense_ids(values: npt.NDArray[np.int64]) -> Ids | None:
    """The same of whole numbers, in a sixth of the time, unless they are too far apart."""
    low, high = int(values.min()), int(values.max())
    if high - low > len(values):
        return None
    offsets = values - low
    is_there = np.zeros(high - low + 1, bool)
    is_there[offsets] = True
    place = np.cumsum(is_there, dtype=np.int32) - np.int32(1)
    return Ids(place[offsets], pa.array(np.flatnonzero(is_there) + low))


def _check_white_space(frame: Frame, column: str, ids: Ids) -> None:
    if not ids.are_text:
        return
    trimmed = pc.utf8_trim_whitespace(ids.values)
    if len(trimmed.unique()) == len(trimmed):
        return
    values = trimmed.to_pylist()
    seen: dict[str, int] = {}
    for place, value in enumerate(values):
        if value in seen:
            both = [repr(ids.values[at].as_py()) for at in (seen[value], place)]
            raise DataError(
                f"{frame.name}: the column {column!r} has ids that differ in white space alone, "
                f"such as {both[0]} and {both[1]}; trim them"
            )
        seen[value] = place


def read_numbers(frame: Frame, column: str) -> npt.NDArray[np.float64]:
    """The numbers of a column, float64 ``[rows]``, NaN where there is none.

    Raises:
        DataError: a value is no number.
    """
    values = plain(frame, column)
    if pa.types.is_string(values.type):
        if frame.described.decimal == ",":
            values = pc.replace_substring(values, ",", ".")
        matched = pc.match_substring_regex(values, NUMBER)
        if (bad := np.asarray(pc.invert(pc.fill_null(matched, fill_value=True)).to_numpy())).any():
            raise wrong(frame, column, bad, "hold numbers", _mend_numbers(frame))
        values = pc.utf8_trim_whitespace(values)
    elif pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    elif not (
        pa.types.is_integer(values.type)
        or pa.types.is_floating(values.type)
        or pa.types.is_decimal(values.type)
    ):
        raise DataError(
            f"{frame.name}: the column {column!r} must hold numbers but holds {values.type}"
        )
    return np.asarray(values.cast(pa.float64()).to_numpy(), np.float64)


def _mend_numbers(frame: Frame) -> str:
    other = "," if frame.described.decimal == "." else "."
    return f"mend them, or set decimal = {other!r} if fractions are written so"


@dataclass(frozen=True)
class Labels:
    """What the events of some rows mean.

    Attributes:
        weights: float32 ``[rows]``, in 0..1.
        relevant: bool ``[rows]``, whether a recommendation should have found it.
        kept: bool ``[rows]``, False for kinds of events that the study leaves out.
    """

    weights: FloatArray
    relevant: Mask
    kept: Mask


def read_labels(frame: Frame, described: LabelDescription | None) -> Labels:
    """The labels of all rows; without a label all are relevant and weigh 1.

    Raises:
        DataError: a label is missing, no number, or out of its range, or nothing is relevant.
    """
    if described is None:
        ones = np.ones(len(frame), bool)
        return Labels(np.ones(len(frame), np.float32), ones, ones)
    column = described.column
    if (missing := nulls(plain(frame, column))).any():
        raise wrong(frame, column, missing, "have a label in every row", "remove these rows")
    labels = (
        _labels_in_range(frame, described)
        if described.range is not None
        else _labels_of_kinds(frame, described)
    )
    if not labels.relevant.any():
        raise DataError(
            f"{frame.name}: no row is relevant by the column {column!r}, so nothing can be "
            "validated; change label.relevant"
        )
    return labels


def _labels_in_range(frame: Frame, described: LabelDescription) -> Labels:
    assert described.range is not None
    low, high = described.range
    values = read_numbers(frame, described.column)
    if (outside := ~((low <= values) & (values <= high))).any():
        raise wrong(
            frame,
            described.column,
            outside,
            f"lie in {low:g} to {high:g}",
            "change label.range, or remove these rows",
        )
    relevant = np.ones(len(values), bool)
    if isinstance(described.relevant, int | float):
        relevant = values >= described.relevant
    weights = ((values - low) / (high - low)).astype(np.float32)
    return Labels(weights, relevant, np.ones(len(values), bool))


def _labels_of_kinds(frame: Frame, described: LabelDescription) -> Labels:
    assert described.weights is not None
    values = plain(frame, described.column).cast(pa.string())
    encoded = values.dictionary_encode().combine_chunks()
    kinds = [str(kind) for kind in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy()
    if lacking := sorted(set(described.weights) - set(kinds)):
        raise DataError(
            f"{frame.name}: no row of the column {described.column!r} is {lacking[0]!r}; its kinds "
            f"are {', '.join(map(repr, sorted(kinds)[:10]))}: change label.weights"
        )
    relevant = described.relevant if isinstance(described.relevant, tuple) else described.weights
    weight = np.array([described.weights.get(kind, 0.0) for kind in kinds], np.float32)
    kept = np.array([kind in described.weights for kind in kinds])
    wanted = np.array([kind in relevant for kind in kinds])
    return Labels(weight[codes], wanted[codes], kept[codes])


def read_times(frame: Frame, described: TimeDescription) -> Times:
    """The times of all rows.

    Raises:
        DataError: a time is missing or cannot be read, or no such time is plausible.
    """
    values = plain(frame, described.column)
    if (missing := nulls(values)).any():
        raise wrong(
            frame, described.column, missing, "have a time in every row", "remove these rows"
        )
    kind = values.type
    if pa.types.is_string(kind) and described.format is None and are_numbers(values):
        values = values.cast(pa.float64() if not _all_match(values, WHOLE) else pa.int64())
        kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        times = _counted(frame, described, values)
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        times = _in_zone(frame, described, values)
    elif pa.types.is_string(kind):
        times = _parsed(frame, described, values)
    else:
        raise DataError(
            f"{frame.name}: the column {described.column!r} must hold times but holds {kind}"
        )
    _check_plausible(frame, described, times)
    return times


def are_numbers(values: pa.ChunkedArray) -> bool:
    """Whether a column holds numbers, be they written as text."""
    kind = values.type
    if pa.types.is_string(kind):
        return _all_match(values, NUMBER)
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _all_match(values: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _counted(frame: Frame, described: TimeDescription, values: pa.ChunkedArray) -> Times:
    """Numbers since 1970."""
    unit: TimeUnit = described.unit or "s"
    numbers = values.to_numpy()
    factor = MICROSECONDS[unit]
    microseconds = numbers.astype(np.float64) * factor
    if (too_large := np.abs(microseconds) > 2**62).any():
        raise _implausible(frame, described, float(numbers[too_large.argmax()]))
    if numbers.dtype.kind == "f":
        return np.round(microseconds).astype(np.int64)
    whole = numbers.astype(np.int64)  # floats would round them
    return whole // 1000 if unit == "ns" else whole * int(factor)


def _implausible(frame: Frame, described: TimeDescription, number: float) -> DataError:
    now = datetime.now(UTC).timestamp()
    fitting = [
        unit
        for unit, factor in MICROSECONDS.items()
        if EARLIEST.timestamp() < number * factor / 1e6 <= now + 86400
    ]
    then = f"set unit = {fitting[0]!r}" if fitting else "mend the column"
    return DataError(
        f"{frame.name}: the column {described.column!r} must hold times in "
        f"{described.unit or 's'} since 1970 but got {number:.0f}, which is no plausible year; "
        f"{then}"
    )


def _in_zone(frame: Frame, described: TimeDescription, values: pa.ChunkedArray) -> Times:
    """Times without a zone are those of the zone that is described."""
    if not pa.types.is_timestamp(values.type) or values.type.tz is None:
        values = values.cast(pa.timestamp("us"), safe=False)
        if described.zone != "UTC":
            values = _localized(frame, described, values)
    return np.asarray(
        values.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64()).to_numpy()
    )


def _localized(
    frame: Frame, described: TimeDescription, values: pa.ChunkedArray
) -> pa.ChunkedArray:
    try:
        ZoneInfo(described.zone)
    except (KeyError, ValueError, OSError) as error:
        raise DataError(
            f"time.zone must be a time zone such as Europe/Berlin but got {described.zone!r}"
        ) from error
    try:
        return pc.assume_timezone(values, described.zone, ambiguous="raise", nonexistent="raise")
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{frame.name}: the column {described.column!r} has a time that a change of the clock "
            f"in {described.zone} skips or has twice ({printable(error, 120)}); write times in UTC"
        ) from error


def _parsed(frame: Frame, described: TimeDescription, values: pa.ChunkedArray) -> Times:
    """Text in a format, or as ISO 8601."""
    if described.format is not None:
        if "%z" in described.format:
            return _each_parsed(frame, described, values)
        try:
            parsed = pc.strptime(values, format=described.format, unit="us", error_is_null=True)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"time.format must be a format of strptime, such as %d.%m.%Y, but got "
                f"{described.format!r} ({printable(error, 80)})"
            ) from error
        if (bad := nulls(parsed)).any():
            must = f"hold times as {described.format}"
            raise wrong(frame, described.column, bad, must, "change time.format, or mend them")
        return _in_zone(frame, described, parsed)
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return _in_zone(frame, described, values.cast(kind))
        except pa.ArrowInvalid:
            continue
    return _each_parsed(frame, described, values)


def _each_parsed(frame: Frame, described: TimeDescription, values: pa.ChunkedArray) -> Times:
    """Each distinct text by itself: forms that arrow does not know, and texts that are no time."""
    encoded = values.dictionary_encode().combine_chunks()
    zone = ZoneInfo(described.zone)
    parsed: list[Any] = []
    for text in encoded.dictionary.to_pylist():
        try:
            found = (
                datetime.strptime(text, described.format)
                if described.format
                else datetime.fromisoformat(text.strip())
            )
            found = found if found.tzinfo else found.replace(tzinfo=zone)
            parsed.append((found - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
        except (ValueError, OverflowError):
            parsed.append(None)
    codes = encoded.indices.to_numpy()
    if (bad := np.array([each is None for each in parsed])[codes]).any():
        must = f"hold times as {described.format or 'ISO 8601, such as 2025-03-01 17:30'}"
        raise wrong(frame, described.column, bad, must, "set time.format, such as %d.%m.%Y %H:%M")
    return np.array(parsed, np.int64)[codes]


def _check_plausible(frame: Frame, described: TimeDescription, times: Times) -> None:
    if not len(times):
        return
    latest = datetime.now(UTC) + timedelta(days=1)
    for time in (int(times.min()), int(times.max())):
        if not EARLIEST.timestamp() * 1e6 <= time <= latest.timestamp() * 1e6:
            shown = shown_time(time)
            raw = frame.column(described.column)[int(np.flatnonzero(times == time)[0])].as_py()
            if isinstance(raw, int | float) or re.match(NUMBER, str(raw)):
                raise _implausible(frame, described, float(raw))
            raise DataError(
                f"{frame.where(int(np.flatnonzero(times == time)[0]))}: the column "
                f"{described.column!r} must hold times from 1900 to now but got {shown}; mend "
                "them, or remove these rows"
            )


def shown_time(microseconds: float) -> str:
    """A time as people read it, in UTC."""
    if not math.isfinite(microseconds) or not -6e16 < microseconds < 2.5e17:
        return f"{microseconds:.3g} microseconds since 1970"
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(microseconds))
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def distinct(codes: IntArray) -> npt.NDArray[np.int64]:
    """The codes that are there, ascending: many times faster than sorting millions of rows."""
    return np.flatnonzero(np.bincount(codes))
