"""From a log of events to prepared arrays: read, label, split, deduplicate, thin out, encode.

The arrays are those of :mod:`deeprec.data.preparation`. Rows of the tables: 0 pads, 1 stands for
whom training does not know, then those that training knows, in the order of their ids, then those
that are known from a table or from evaluated rows alone; their id feature is 1.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deeprec.data.cache import Entry
from deeprec.data.tables import Feature
from deeprec.errors import DataError, printable
from deeprec.events.columns import (
    Mask,
    are_numbers,
    plain,
    read_ids,
    read_labels,
    read_times,
)
from deeprec.events.description import (
    DataDescription,
    FilesDescription,
    TimeDescription,
)
from deeprec.events.encoding import UNKNOWN
from deeprec.events.files import Frame, check_columns, found_files, read_columns
from deeprec.events.learning import Encoded, encode_features
from deeprec.events.parts import (
    Events,
    Say,
    check_parts,
    deduplicated,
    say_parts,
    split_events,
    thinned,
)
from deeprec.events.sides import SideTable, columns_of, id_array, numbered, titles_of

LEFT_OUT = ("label", "unknown", "duplicates", "core")
"""Why rows of a log are in no part, in the order in which they are left out."""

FORMAT_VERSION = 2
"""Raised whenever prepared arrays of an older version must not be read."""


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
                reason = printable(error.strerror or error)
                raise DataError(f"{path} cannot be read: {reason}") from error
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
    )
    if not labels.kept.all():
        events = events.take(labels.kept)
    tables = {
        "user": SideTable.of("user", described.users, users, frame, described.user, folder),
        "item": SideTable.of("item", described.items, items, frame, described.item, folder),
    }
    sizes = [len(frame), len(events)]
    for table in tables.values():
        events = table.check_known(events, described.unknown, say)
    sizes.append(len(events))
    events = deduplicated(split_events(events, described), described, frame)
    sizes.append(len(events))
    events = thinned(events, described, say)
    sizes.append(len(events))
    left_out = dict(zip(LEFT_OUT, (-np.diff(sizes)).tolist(), strict=True))
    say_parts(events, check_parts(events, described), say)
    return _encoded(events, tables, described, say, left_out)


def check_files(described: DataDescription, folder: Path) -> None:
    """Checks that all files are there and have the columns that are named; no row is read.

    Raises:
        DataError: a file is not there, cannot be read, or lacks a column.
    """
    for files in _logs(described):
        check_columns(files, folder, _columns_of_log(described))
    for side in (described.users, described.items):
        if side.table is not None and side.id is not None:
            check_columns(side.table, folder, [side.id, *columns_of(side)])


def _columns_of_log(described: DataDescription) -> list[str]:
    names = [described.user, described.item]
    if described.time is not None:
        names.append(described.time.column)
    if described.label is not None:
        names.append(described.label.column)
    for side in (described.users, described.items):
        if side.table is None:
            names += columns_of(side)
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


def _check_disjoint(frames: Sequence[Frame]) -> None:
    for number, frame in enumerate(frames):
        for other in frames[:number]:
            if common := sorted(map(str, {*frame.files} & {*other.files})):
                raise DataError(
                    f"{common[0]} is named for two parts of the split; each file belongs to one"
                )


def _say_zone(frame: Frame, time: TimeDescription, say: Say) -> None:
    values = plain(frame, time.column)
    is_zoned = pa.types.is_timestamp(values.type) and values.type.tz is not None
    if is_zoned or time.zone != "UTC" or are_numbers(values):
        return
    say(f"times of the column {time.column!r} without a time zone are taken as UTC")


def _encoded(
    events: Events,
    tables: dict[str, SideTable],
    described: DataDescription,
    say: Say,
    left_out: dict[str, int],
) -> Entry:
    """The arrays of both tables and of the events, by the rows of the tables."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    label = described.label
    about: dict[str, Any] = {
        "name": described.name,
        "repeats": described.repeats,
        "left_out": left_out,
        "labels": (0.0, 1.0) if label is None or label.range is None else label.range,
    }
    training = events.part == 0
    for side, table in tables.items():
        codes = table.codes(events)
        row_of_code, order, known = numbered(codes, training, table)
        schema, encodings, columns = _features(table, order, known)
        about[f"{side}s"] = [{"name": f.name, **_sizes(f)} for f in schema]
        about[f"{side}_encodings"] = [each.encoding.to_config() for each in encodings]
        about[f"{side}s_known"] = int(known.sum())
        arrays |= {f"{side}s.{name}": column for name, column in columns.items()}
        arrays[f"{side}_ids"] = id_array(table, order)
        arrays[f"interactions.{side}"] = row_of_code[codes]
        if side == "item":
            about["titles"] = titles_of(table, order)
    arrays["interactions.label"] = events.weight
    arrays["interactions.relevant"] = events.relevant
    arrays["interactions.time"] = events.time
    arrays["ends"] = np.cumsum(np.bincount(events.part, minlength=3))
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    say(f"{about['users_known']:,} users and {about['items_known']:,} items are known to training")
    return Entry(arrays, {"source": described.interactions.shown})


def _sizes(feature: Feature) -> dict[str, Any]:
    return {
        "kind": feature.kind,
        "vocabulary_size": feature.vocabulary_size,
        "length": feature.length,
    }


def _features(
    table: SideTable, order: npt.NDArray[np.int64], known: Mask
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
    taken = table.frame.table.select(list(dict.fromkeys(columns_of(table.described))))
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
