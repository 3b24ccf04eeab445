"""From a log of events to prepared arrays: read, label, split, deduplicate, thin out, encode.

The arrays are those of :mod:`deeprec.data.preparation`. Rows of the tables: 0 pads, 1 stands for
whom training does not know, then those that training knows, in the order of their ids, then those
that are known from a table or from evaluated rows alone; their id feature is 1.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deeprec.data.cache import Entry
from deeprec.data.preparation import permutation
from deeprec.data.tables import Feature, IntArray
from deeprec.errors import DataError
from deeprec.events.columns import (
    Ids,
    Mask,
    Times,
    are_numbers,
    plain,
    read_ids,
    read_labels,
    read_times,
    shown_time,
)
from deeprec.events.description import (
    DataDescription,
    FilesDescription,
    SideDescription,
    TimeDescription,
)
from deeprec.events.encoding import UNKNOWN, Encoded, encode_features
from deeprec.events.files import Frame, check_columns, format_of, found_files, read_columns

FORMAT_VERSION = 2
"""Raised whenever prepared arrays of an older version must not be read."""

LONGEST_ID = 256
"""Bytes of an id."""

PARTS = ("train", "validation", "test")
SideName = Literal["user", "item"]
Say = Callable[[str], None]


def fingerprint_of(described: DataDescription, folder: Path) -> str:
    """The fingerprint of the contents of all files and of what is made of them; no path is in it.

    Raises:
        DataError: a file is not there or cannot be read.
    """
    contents = []
    for files in _all_files(described):
        for path in found_files(files, folder):
            try:
                with path.open("rb") as file:
                    contents.append(hashlib.file_digest(file, "sha256").hexdigest())
            except OSError as error:
                raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    decisive = {"recipe": described.recipe, "contents": contents, "format": FORMAT_VERSION}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _all_files(described: DataDescription) -> Iterator[FilesDescription]:
    yield from _logs(described)
    for side in (described.users, described.items):
        if side.table is not None:
            yield side.table


def _logs(described: DataDescription) -> list[FilesDescription]:
    """The files of the log: those of each part, where the split is by files."""
    if described.split.by != "files":
        return [described.interactions]
    parts = (described.split.validation, described.split.test)
    return [described.interactions, *(_like(described.interactions, str(path)) for path in parts)]


def _like(files: FilesDescription, path: str) -> FilesDescription:
    return files.model_copy(update={"path": path})


@dataclass(frozen=True)
class Events:
    """The rows of the log that count.

    Attributes:
        user: int32 ``[rows]``, where in ``users`` each row's user is.
        item: the same.
        weight: float32 ``[rows]``, in 0..1.
        relevant: bool ``[rows]``.
        time: int64 ``[rows]``, microseconds since 1970; zeros where the log has no times.
        part: int8 ``[rows]``, where in :data:`PARTS` each row belongs; -1 where that is open.
        row: int64 ``[rows]``, in the frame.
    """

    user: IntArray
    item: IntArray
    weight: npt.NDArray[np.float32]
    relevant: Mask
    time: Times
    part: npt.NDArray[np.int8]
    row: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: npt.NDArray[Any]) -> "Events":
        """Some of the rows, in the given order, or those where a mask is true."""
        return Events(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def prepare(described: DataDescription, folder: Path, say: Say) -> Entry:
    """Reads the files and computes the prepared arrays.

    Args:
        described: the files, their columns, and what they mean.
        folder: what paths are relative to.
        say: called with what was found, a line each.

    Raises:
        DataError: something in a file is not as it must be.
    """
    frame, part_of = _read_log(described, folder)
    if not len(frame):
        raise DataError(f"{frame.name} has no rows")
    users, items = read_ids(frame, described.user), read_ids(frame, described.item)
    labels = read_labels(frame, described.label)
    times = np.zeros(len(frame), np.int64)
    if described.time is not None:
        times = read_times(frame, described.time)
        _say_zone(frame, described.time, say)
    events = Events(
        users.codes,
        items.codes,
        labels.weights,
        labels.relevant,
        times,
        part_of,
        np.arange(len(frame)),
    ).take(labels.kept)
    tables = {
        "user": _Table.of("user", described.users, users, frame, described.user, folder),
        "item": _Table.of("item", described.items, items, frame, described.item, folder),
    }
    for table in tables.values():
        events = table.check_known(events, described.unknown, say)
    events = _split(events, described)
    events = _deduplicated(events, described, frame)
    events = _thinned(events, described, say)
    _check_parts(events, described)
    _say_parts(events, say)
    return _encoded(events, tables, described, say)


def check_files(described: DataDescription, folder: Path) -> None:
    """Checks that all files are there and have the columns that are named; no row is read.

    Raises:
        DataError: a file is not there, cannot be read, or lacks a column.
    """
    for files in _logs(described):
        check_columns(files, folder, _columns_of_log(described))
    for side in (described.users, described.items):
        if side.table is not None and side.id is not None:
            check_columns(side.table, folder, [side.id, *_columns_of(side)])


def _columns_of_log(described: DataDescription) -> list[str]:
    names = [described.user, described.item]
    if described.time is not None:
        names.append(described.time.column)
    if described.label is not None:
        names.append(described.label.column)
    for side in (described.users, described.items):
        if side.table is None:
            names += _columns_of(side)
    return names


def _read_log(described: DataDescription, folder: Path) -> tuple[Frame, npt.NDArray[np.int8]]:
    """The columns of the log that are needed, and the part of each row where files say so."""
    names = _columns_of_log(described)
    if described.split.by != "files":
        frame = read_columns(described.interactions, folder, names)
        return frame, np.full(len(frame), -1, np.int8)
    frames = [read_columns(files, folder, names) for files in _logs(described)]
    _check_disjoint(frames)
    starts = np.concatenate([[0], np.cumsum([len(frame) for frame in frames])])
    whole = Frame(
        pa.concat_tables([frame.table for frame in frames], promote_options="permissive"),
        tuple(path for frame in frames for path in frame.files),
        tuple(
            int(start) + first
            for start, frame in zip(starts, frames, strict=False)
            for first in frame.starts
        ),
        described.interactions,
    )
    parts = np.repeat(np.arange(3, dtype=np.int8), [len(frame) for frame in frames])
    return whole, parts


def _columns_of(side: SideDescription) -> list[str]:
    columns = [f.column or name for name, f in side.features.items() if f.kind != "cross"]
    return [*columns, *([side.title] if side.title else [])]


def _check_disjoint(frames: Sequence[Frame]) -> None:
    for number, frame in enumerate(frames):
        for other in frames[:number]:
            if common := sorted(set(frame.files) & set(other.files)):
                raise DataError(
                    f"{common[0]} is named for two parts of the split; each file belongs to one"
                )


def _say_zone(frame: Frame, time: TimeDescription, say: Say) -> None:
    values = plain(frame, time.column)
    is_zoned = pa.types.is_timestamp(values.type) and values.type.tz is not None
    if is_zoned or time.zone != "UTC" or are_numbers(values):
        return
    say(f"times of the column {time.column!r} without a time zone are taken as UTC")


@dataclass(frozen=True)
class _Table:
    """One side: the ids of the log, and a row for each of them or of the table.

    Attributes:
        side: which.
        described: in the study file.
        ids: of the log and of the table together; those of the log have the codes of the events.
        log_ids: how many of them are in the log.
        frame: a row for each row of the side's table, or of the log where there is none.
        row_of_id: int64 ``[ids]``, the row in ``frame``; -1 where there is none.
    """

    side: SideName
    described: SideDescription
    ids: pa.Array
    log_ids: int
    frame: Frame
    row_of_id: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        side: SideName,
        described: SideDescription,
        log: Ids,
        frame: Frame,
        column: str,
        folder: Path,
    ) -> "_Table":
        """Reads the table, if there is one."""
        if described.table is None:
            rows = _one_row_each(side, described, log, frame)
            return cls(side, described, log.values, len(log.values), frame, rows)
        assert described.id is not None
        table = read_columns(described.table, folder, [described.id, *_columns_of(described)])
        found = read_ids(table, described.id)
        log, found = _of_one_type(log, found, frame, column, table, described.id)
        if len(found.values) < len(table):
            counts = np.bincount(found.codes)
            twice = int(np.flatnonzero(counts > 1)[0])
            raise DataError(
                f"{table.name}: the column {described.id!r} must name every {side} once but "
                f"{found.values[twice].as_py()!r} has {counts[twice]} rows, as have "
                f"{int((counts > 1).sum()) - 1:,} others; keep one row of each"
            )
        in_log = pc.index_in(found.values, value_set=log.values)
        new = np.asarray(pc.is_null(in_log).to_numpy(zero_copy_only=False))
        ids = pa.concat_arrays([log.values, found.values.filter(pa.array(new))])
        row_of_code = np.empty(len(found.values), np.int64)
        row_of_code[found.codes] = np.arange(len(table))
        place = np.asarray(pc.index_in(found.values, value_set=ids).to_numpy())
        rows = np.full(len(ids), -1, np.int64)
        rows[place] = row_of_code
        return cls(side, described, ids, len(log.values), table, rows)

    def codes(self, events: Events) -> IntArray:
        """The ids of this side in some events."""
        return events.user if self.side == "user" else events.item

    def check_known(self, events: Events, unknown: str, say: Say) -> Events:
        """The events whose user, or item, may stay."""
        if self.described.table is None:
            return events
        lacking = self.row_of_id[self.codes(events)] < 0
        if not lacking.any():
            return events
        codes = _distinct(self.codes(events)[lacking])
        shown = ", ".join(repr(self.ids[int(code)].as_py()) for code in codes[:3])
        found = (
            f"{len(codes):,} {self.side}{'' if len(codes) == 1 else 's'} of "
            f"{int(lacking.sum()):,} rows are not in {self.frame.name}, such as {shown}"
        )
        if unknown == "error":
            raise DataError(
                f"{found}; set unknown = 'insert' (they have no features) or 'drop' (their rows "
                "are left out)"
            )
        if unknown == "insert":
            say(f"{found}: they have no features")
            return events
        say(f"{found}: these rows are left out")
        if lacking.all():
            raise DataError(f"{found}, and nothing is left without them; check the column of ids")
        return events.take(~lacking)


def _of_one_type(
    log: Ids, found: Ids, frame: Frame, column: str, table: Frame, own: str
) -> tuple[Ids, Ids]:
    """The ids of the log and of a table, as text where one of them is a CSV file, without types.

    Raises:
        DataError: one file says that they are text, the other that they are whole numbers.
    """
    if log.are_text == found.are_text or not len(table):
        return log, found
    text = frame if log.are_text else table
    if format_of(text.files[0], text.described) == "csv":
        return log.as_text, found.as_text
    kinds = [("text" if each.are_text else "whole numbers") for each in (log, found)]
    raise DataError(
        f"ids must have one type but {frame.name}, column {column!r}, has {kinds[0]} and "
        f"{table.name}, column {own!r}, has {kinds[1]}; convert one of them"
    )


def _one_row_each(
    side: SideName, described: SideDescription, log: Ids, frame: Frame
) -> npt.NDArray[np.int64]:
    """A row of the log for each id; what it says there of the user or item must be so in all."""
    first = np.full(len(log.values), -1, np.int64)
    rows = np.arange(len(log.codes))[::-1]
    first[log.codes[::-1]] = rows
    for column in _columns_of(described):
        values = plain(frame, column)
        encoded = values.dictionary_encode(null_encoding="encode").combine_chunks()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        differing = codes != codes[first[log.codes]]
        if differing.any():
            row = int(np.flatnonzero(differing)[0])
            owner = log.values[int(log.codes[row])].as_py()
            others = len(_distinct(log.codes[differing])) - 1
            raise DataError(
                f"{frame.where(row)}: the column {column!r} must depend on the {side} alone but "
                f"has several values for {owner!r} and {others:,} others; give the {side}s a table "
                "of their own"
            )
    return first


def _split(events: Events, described: DataDescription) -> Events:
    """The events by part, in each by time, or shuffled where the split is random."""
    split = described.split
    if split.by == "files":
        order = np.lexsort((events.time, events.part))
        return events.take(order)
    if split.by == "random":
        shuffled = events.take(permutation(len(events)))
        return _with_parts(shuffled, _shares(len(events), described))
    ordered = events.take(np.argsort(events.time, kind="stable"))
    if split.by == "last_per_user":
        return _last_per_user(ordered)
    if isinstance(split.test, str):
        return _with_parts(ordered, _dates(ordered, described))
    ends = _shares(len(ordered), described)
    # Equal times are never divided: a part begins with the first row of its time.
    ends = [int(np.searchsorted(ordered.time, ordered.time[end])) for end in ends]
    return _with_parts(ordered, ends)


def _shares(rows: int, described: DataDescription) -> list[int]:
    """Where validation and test begin."""
    test = rows - round(rows * described.split.share("test"))
    return [test - round(test * described.split.share("validation")), test]


def _dates(events: Events, described: DataDescription) -> list[int]:
    assert described.time is not None
    zone = described.time.zone
    text = pa.chunked_array([[str(described.split.validation), str(described.split.test)]])
    frame = Frame(pa.table({"split": text}), (Path("split"),), (0,), FilesDescription(path="split"))
    try:
        moments = read_times(frame, TimeDescription(column="split", zone=zone))
    except DataError as error:
        raise DataError(
            f"split.validation and split.test must be dates such as 2025-03-01 but got "
            f"{described.split.validation!r} and {described.split.test!r}"
        ) from error
    if moments[0] >= moments[1]:
        raise DataError(
            "split.validation must be before split.test but got "
            f"{described.split.validation} and {described.split.test}"
        )
    return [int(np.searchsorted(events.time, moment)) for moment in moments]


def _with_parts(events: Events, ends: Sequence[int]) -> Events:
    for part, (start, end) in enumerate(pairwise([0, *ends, len(events)])):
        events.part[start:end] = part
    return events


def _last_per_user(events: Events) -> Events:
    """Of each user the last row tests and the one before it validates, where there are three."""
    order = np.lexsort((np.arange(len(events)), events.user))
    users = events.user[order]
    counts = np.bincount(users, minlength=int(users.max()) + 1)
    ends = np.cumsum(counts)
    events.part[:] = 0
    enough = counts >= 3
    events.part[order[ends[enough] - 1]] = 2
    events.part[order[ends[enough] - 2]] = 1
    return events.take(np.argsort(events.part, kind="stable"))


def _deduplicated(events: Events, described: DataDescription, frame: Frame) -> Events:
    """One row of each user with each item in a part, as the study wants it."""
    if described.duplicates == "keep":
        return events
    items = int(events.item.max()) + 1
    pair = (events.part.astype(np.int64) * (int(events.user.max()) + 1) + events.user) * items
    pair += events.item
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
    if len(starts) == len(events):
        return events
    if described.duplicates == "error":
        sizes = np.diff([*starts.tolist(), len(events)])
        row = int(events.row[order[starts[np.flatnonzero(sizes > 1)[0]] + 1]])
        raise DataError(
            f"{frame.where(row)}: a user has an item twice, as in {int((sizes > 1).sum()):,} "
            "cases; set duplicates = 'first', 'last', 'sum' or 'keep'"
        )
    ends = np.append(starts[1:], len(events))
    kept = order[starts] if described.duplicates == "first" else order[ends - 1]
    relevant = np.logical_or.reduceat(events.relevant[order], starts)
    one_each = events.take(kept)
    one_each.relevant[:] = relevant
    if described.duplicates == "sum":
        one_each.weight[:] = np.minimum(np.add.reduceat(events.weight[order], starts), 1)
    return one_each.take(np.argsort(kept, kind="stable"))


def _thinned(events: Events, described: DataDescription, say: Say) -> Events:
    """Without training rows of users and items that have too few of them."""
    core = described.core
    if core.users == core.items == 1:
        return events
    training = events.part == 0
    before = int(training.sum())
    while True:
        users = np.bincount(events.user[training], minlength=int(events.user.max()) + 1)
        items = np.bincount(events.item[training], minlength=int(events.item.max()) + 1)
        few = training & ((users[events.user] < core.users) | (items[events.item] < core.items))
        if not few.any():
            break
        training &= ~few
    if not training.any():
        raise DataError(
            f"core = {{ users = {core.users}, items = {core.items} }} leaves no training row of "
            f"{before:,}; choose smaller numbers"
        )
    say(f"core leaves {int(training.sum()):,} of {before:,} training rows")
    return events.take(training | (events.part > 0))


def _check_parts(events: Events, described: DataDescription) -> None:
    counts = np.bincount(events.part, minlength=3)
    for part, count in zip(PARTS, counts.tolist(), strict=True):
        if count == 0:
            raise DataError(
                f"the split leaves no row to {_PURPOSE[part]}{_range_of(events, described)}; "
                "change split.validation and split.test"
            )
        if part != "train" and not events.relevant[events.part == PARTS.index(part)].any():
            raise DataError(
                f"no row to {_PURPOSE[part]} is relevant; change the split or label.relevant"
            )
    known, validated = (_distinct(events.user[events.part == part]) for part in (0, 1))
    if not np.isin(validated, known).any() and not described.users.features:
        raise DataError(
            "no user of the validation rows has a training row, and users have no features to "
            "know them by; change the split"
        )


_PURPOSE = {"train": "train on", "validation": "validate on", "test": "test on"}


def _range_of(events: Events, described: DataDescription) -> str:
    if described.time is None:
        return ""
    first, last = (shown_time(float(time)) for time in (events.time.min(), events.time.max()))
    return f" (the times are {first} to {last})"


def _say_parts(events: Events, say: Say) -> None:
    counts = np.bincount(events.part, minlength=3).tolist()
    say(f"{counts[0]:,} rows to train on, {counts[1]:,} to validate on, {counts[2]:,} to test on")
    for number, part in enumerate(PARTS[1:], start=1):
        rows = events.part == number
        unknown = [
            f"{_unknown(codes, rows, events.part == 0):,} {name}"
            for name, codes in (("users", events.user), ("items", events.item))
        ]
        say(f"{part}: {' and '.join(unknown)} that training does not know")


def _unknown(codes: IntArray, rows: Mask, training: Mask) -> int:
    return len(np.setdiff1d(_distinct(codes[rows]), _distinct(codes[training])))


def _distinct(codes: IntArray) -> npt.NDArray[np.int64]:
    """The codes that are there, ascending: many times faster than sorting millions of rows."""
    return np.flatnonzero(np.bincount(codes))


def _encoded(
    events: Events, tables: dict[str, _Table], described: DataDescription, say: Say
) -> Entry:
    """The arrays of both tables and of the events, by the rows of the tables."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    label = described.label
    about: dict[str, Any] = {
        "name": described.name,
        "repeats": described.repeats,
        "labels": (0.0, 1.0) if label is None or label.range is None else label.range,
    }
    training = events.part == 0
    for side, table in tables.items():
        codes = table.codes(events)
        row_of_code, order, known = _numbered(codes, training, table)
        schema, encodings, columns = _features(table, order, known)
        about[f"{side}s"] = [{"name": f.name, **_sizes(f)} for f in schema]
        about[f"{side}_encodings"] = [each.encoding.to_config() for each in encodings]
        about[f"{side}s_known"] = int(known.sum())
        arrays |= {f"{side}s.{name}": column for name, column in columns.items()}
        arrays[f"{side}_ids"] = _id_array(table, order)
        arrays[f"interactions.{side}"] = row_of_code[codes]
        if side == "item":
            about["titles"] = _titles(table, order)
    arrays["interactions.label"] = events.weight
    arrays["interactions.relevant"] = events.relevant
    arrays["interactions.time"] = events.time
    arrays["ends"] = np.cumsum(np.bincount(events.part, minlength=3))
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    say(f"{about['users_known']:,} users and {about['items_known']:,} items are known to training")
    return Entry(arrays, {"source": f"{described.interactions.path}"})


def _sizes(feature: Feature) -> dict[str, Any]:
    return {
        "kind": feature.kind,
        "vocabulary_size": feature.vocabulary_size,
        "length": feature.length,
    }


def _numbered(
    codes: IntArray, training: Mask, table: _Table
) -> tuple[IntArray, npt.NDArray[np.int64], Mask]:
    """The row of each id: known ones first, from row 2 on, each group in the order of its ids.

    Returns:
        The row of each code, int32; the codes by row from row 2 on; and which of those rows
        training knows.
    """
    is_known, is_there = (np.zeros(len(table.ids), bool) for _ in range(2))
    is_known[codes[training]] = True
    is_there[codes] = True
    is_there[table.log_ids :] = True
    is_there |= is_known
    if table.described.table is not None:
        is_there |= table.row_of_id >= 0
    rank = np.asarray(pc.array_sort_indices(table.ids).to_numpy(), np.int64)
    order = np.concatenate([rank[is_known[rank]], rank[(is_there & ~is_known)[rank]]])
    row_of_code = np.zeros(len(table.ids), np.int32)
    row_of_code[order] = np.arange(2, len(order) + 2, dtype=np.int32)
    return row_of_code, order, is_known[order]


def _features(
    table: _Table, order: npt.NDArray[np.int64], known: Mask
) -> tuple[list[Feature], list[Encoded], dict[str, npt.NDArray[Any]]]:
    """The schema, the encodings, and the columns with the two reserved rows in front."""
    name = f"{table.side}_id"
    ids = np.arange(len(order) + 2, dtype=np.int32)
    known_rows = int(known.sum())
    size = known_rows + 2 if table.described.ids else 2
    ids[ids >= size] = UNKNOWN
    if not table.described.ids:
        ids[2:] = UNKNOWN
    schema = [Feature(name=name, kind="id", vocabulary_size=size)]
    columns = {name: ids}
    rows = table.row_of_id[order]
    taken = table.frame.table.select(list(dict.fromkeys(_columns_of(table.described))))
    taken = taken.take(pa.array(rows, mask=rows < 0))
    frame = Frame(taken, table.frame.files, (0,), table.frame.described)
    encodings = encode_features(frame, table.described.features, known)
    for each in encodings:
        codes = each.codes
        columns[each.encoding.name] = np.concatenate(
            [np.zeros((2, *codes.shape[1:]), codes.dtype), codes]
        )
        schema.append(each.encoding.feature)
    return schema, encodings, columns


def _id_array(table: _Table, order: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """The ids by row: int64, or the UTF-8 bytes of text; nothing for the two reserved rows."""
    ids = table.ids.take(pa.array(order))
    if pa.types.is_integer(ids.type):
        return np.concatenate([np.zeros(2, np.int64), ids.to_numpy()])
    encoded = [b"", b"", *(text.encode() for text in ids.to_pylist())]
    longest = max(map(len, encoded))
    if longest > LONGEST_ID:
        raise DataError(f"ids must have at most {LONGEST_ID} bytes but one has {longest:,}")
    return np.array(encoded, dtype=f"S{max(longest, 1)}")


def _titles(table: _Table, order: npt.NDArray[np.int64]) -> list[str]:
    """What people read of each row: the title, or the id where there is none."""
    ids = table.ids.take(pa.array(order)).to_pylist()
    if table.described.title is None:
        return ["", "", *map(str, ids)]
    column = plain(table.frame, table.described.title).cast(pa.string())
    rows = table.row_of_id[order]
    titles = column.take(pa.array(np.maximum(rows, 0))).to_pylist()
    known = zip(titles, ids, (rows >= 0).tolist(), strict=True)
    return ["", "", *(title if there and title else str(own) for title, own, there in known)]
