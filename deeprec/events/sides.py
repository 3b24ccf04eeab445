"""Users and items of one's own data: their ids, a row for each, and what people read of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deeprec.data.tables import IntArray
from deeprec.errors import DataError
from deeprec.events.columns import Ids, Mask, distinct, plain, read_ids
from deeprec.events.description import SideDescription
from deeprec.events.files import Frame, format_of, read_columns
from deeprec.events.parts import Events, Say

LONGEST_ID = 256
"""Bytes of an id."""

SideName = Literal["user", "item"]


def columns_of(side: SideDescription) -> list[str]:
    """The columns that features and titles are read from."""
    columns = [f.column or name for name, f in side.features.items() if f.kind != "cross"]
    return [*columns, *([side.title] if side.title else [])]


@dataclass(frozen=True)
class SideTable:
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
    ) -> "SideTable":
        """Reads the table, if there is one."""
        if described.table is None:
            rows = _one_row_each(side, described, log, frame)
            return cls(side, described, log.values, len(log.values), frame, rows)
        assert described.id is not None
        table = read_columns(described.table, folder, [described.id, *columns_of(described)])
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
        codes = distinct(self.codes(events)[lacking])
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
    for column in columns_of(described):
        values = plain(frame, column)
        encoded = values.dictionary_encode(null_encoding="encode").combine_chunks()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        differing = codes != codes[first[log.codes]]
        if differing.any():
            row = int(np.flatnonzero(differing)[0])
            owner = log.values[int(log.codes[row])].as_py()
            others = len(distinct(log.codes[differing])) - 1
            raise DataError(
                f"{frame.where(row)}: the column {column!r} must depend on the {side} alone but "
                f"has several values for {owner!r} and {others:,} others; give the {side}s a table "
                "of their own"
            )
    return first


def numbered(
    codes: IntArray, training: Mask, table: SideTable
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


def id_array(table: SideTable, order: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """The ids by row: int64, or the UTF-8 bytes of text; nothing for the two reserved rows."""
    ids = table.ids.take(pa.array(order))
    if pa.types.is_integer(ids.type):
        return np.concatenate([np.zeros(2, np.int64), ids.to_numpy()])
    encoded = [b"", b"", *(text.encode() for text in ids.to_pylist())]
    longest = max(map(len, encoded))
    if longest > LONGEST_ID:
        raise DataError(f"ids must have at most {LONGEST_ID} bytes but one has {longest:,}")
    return np.array(encoded, dtype=f"S{max(longest, 1)}")


def titles_of(table: SideTable, order: npt.NDArray[np.int64]) -> list[str]:
    """What people read of each row: the title, or the id where there is none."""
    ids = table.ids.take(pa.array(order)).to_pylist()
    if table.described.title is None:
        return ["", "", *map(str, ids)]
    column = plain(table.frame, table.described.title).cast(pa.string())
    rows = table.row_of_id[order]
    titles = column.take(pa.array(np.maximum(rows, 0))).to_pylist()
    known = zip(titles, ids, (rows >= 0).tolist(), strict=True)
    return ["", "", *(title if there and title else str(own) for title, own, there in known)]
