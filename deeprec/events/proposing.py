"""From files to the description of a study: what each column is, and what it may be used for.

Roles are proposed by names, types and values, each with its reason; the study file says what holds.
Where two columns could be the ids of users, or of items, neither is chosen.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deeprec.data.tables import IntArray
from deeprec.errors import DataError, printable
from deeprec.events.columns import NUMBER, plain, read_numbers
from deeprec.events.description import FeatureKind, FilesDescription
from deeprec.events.files import Frame, read_columns

ColumnType = Literal[
    "whole numbers", "numbers", "text", "times", "true or false", "lists", "vectors", "other"
]
Role = Literal["id", "user", "item", "time", "label", "title", "feature", "left out"]

_ID_ROLES: tuple[Role, ...] = ("user", "item")

NAMES: Mapping[Role, re.Pattern[str]] = {
    "user": re.compile(
        r"user|uid|customer|client|household|member|visitor|account|person|reader|listener|buyer"
        r"|kunde|nutzer|usuario|utilisateur",
        re.IGNORECASE,
    ),
    "item": re.compile(
        r"item|iid|pid|product|article|sku|movie|film|book|song|track|content|asin|isbn|offer|game"
        r"|artikel|produkt|titel",
        re.IGNORECASE,
    ),
    "time": re.compile(r"time|date|^ts$|_ts$|when|_at$|day$|zeit|datum", re.IGNORECASE),
    "label": re.compile(
        r"rating|stars|score|event|action|behaviou?r|label|bewertung|sterne", re.IGNORECASE
    ),
    "title": re.compile(r"title|name|caption|headline|titel", re.IGNORECASE),
}
"""How people call the columns that have a role."""

FEW_KINDS = 20
"""Distinct values up to which a column is a rating, a kind of event, or a category of numbers."""

DATES = re.compile(r"^\d{1,2}([./-])\d{1,2}\1\d{4}")
CLOCKS = ("", " %H:%M", " %H:%M:%S")
"""What follows a date such as 31.12.2024 or 12/31/2024."""

LOOKED_AT = 2_000_000
"""Rows in which different values are counted; where there are more, the first ones."""

FEW_VALUES = 1000
NEARLY_UNIQUE = 0.5
MOSTLY = 0.9
REPEATED = 0.1
"""A share of rows that repeat a user's item, from which on people come back to what they have."""

LONG_TEXT = 4.0  # words a value, from which on a text is read word by word


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a column holds.

    Attributes:
        name: of the column.
        type: in words.
        rows: that were looked at, at most :data:`LOOKED_AT`.
        nulls: those of them without a value.
        distinct: different values in them.
        low: the lowest value, and ``high`` the highest, as text; empty for text.
        high: see ``low``.
        words: the mean number of words of a text.
        tags: the separator, where values are lists of tags; ``list`` where they are lists.
        formats: those of ``strptime`` that all values have, where times are no ISO 8601.
        examples: some values.
    """

    name: str
    type: ColumnType
    rows: int
    nulls: int
    distinct: int
    low: str = ""
    high: str = ""
    words: float = 0.0
    tags: str = ""
    formats: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    @property
    def is_unique(self) -> bool:
        """Whether every row has another value."""
        return self.nulls == 0 and self.distinct == self.rows


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What a column may be used for, and why.

    Attributes:
        column: what it holds.
        role: what it is proposed for.
        why: in a few words.
        kind: of a feature.
    """

    column: Profile
    role: Role
    why: str
    kind: FeatureKind | None = None


@dataclass(frozen=True, kw_only=True)
class ProposedTable:
    """A file and the roles of its columns."""

    files: FilesDescription
    rows: int
    proposals: tuple[Proposal, ...]

    def of_role(self, role: Role) -> list[Proposal]:
        """The columns with a role."""
        return [each for each in self.proposals if each.role == role]


@dataclass(frozen=True, kw_only=True)
class ProposedStudy:
    """What is proposed for a log of events and the tables beside it.

    Attributes:
        log: the events.
        users: the table of users, if there is one.
        items: the table of items, if there is one.
        repeated: the share of rows that repeat a user's item.
    """

    log: ProposedTable
    users: ProposedTable | None
    items: ProposedTable | None
    repeated: float = 0.0
    problems: tuple[str, ...] = field(default=())


def profile(frame: Frame, name: str) -> Profile:
    """What a column holds."""
    values = plain(frame, name).slice(0, LOOKED_AT)
    kind = values.type
    counts: dict[str, Any] = {"name": name, "rows": len(values), "nulls": values.null_count}
    if pa.types.is_nested(kind):
        is_vector = pa.types.is_list(kind) and pa.types.is_floating(kind.value_type)
        of_lists: ColumnType = "vectors" if is_vector else "lists"
        return Profile(**counts, type=of_lists, distinct=0, tags="list")
    distinct = int(pc.count_distinct(values).as_py())
    examples = tuple(str(each) for each in values.drop_null().slice(0, 50).unique().to_pylist()[:3])
    counts |= {"distinct": distinct, "examples": examples}
    if pa.types.is_boolean(kind):
        return Profile(**counts, type="true or false")
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Profile(**counts, type="times", **_ends(values))
    if pa.types.is_integer(kind):
        return Profile(**counts, type="whole numbers", **_ends(values))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        # Whole numbers become floats where one is missing.
        whole = bool(pc.all(pc.equal(pc.floor(values), values)).as_py())
        return Profile(**counts, type="whole numbers" if whole else "numbers", **_ends(values))
    if not pa.types.is_string(kind):
        return Profile(**counts, type="other")
    return _of_text(values, counts, frame.described.decimal)


def _ends(values: pa.ChunkedArray) -> dict[str, Any]:
    ends = pc.min_max(values).as_py()
    return {"low": str(ends["min"]), "high": str(ends["max"])}


def _of_text(values: pa.ChunkedArray, counts: dict[str, Any], decimal: str) -> Profile:
    """Of text; in a CSV file that may be numbers, or times."""
    sample = values.drop_null().slice(0, 100_000)
    numbers = pc.replace_substring(sample, ",", ".") if decimal == "," else sample
    if _all_match(numbers, NUMBER) and not _any_matches(numbers, r"^0[0-9]"):
        whole = not _any_matches(numbers, r"[.eE]")
        ends = _ends(pc.utf8_trim_whitespace(numbers).cast(pa.float64()))
        ends = {end: f"{float(value):.15g}" for end, value in ends.items()}
        return Profile(**counts, type="whole numbers" if whole else "numbers", **ends)
    if _all_match(sample, r"^\d{4}-\d\d-\d\d"):
        ends = pc.min_max(sample).as_py()
        return Profile(**counts, type="times", low=ends["min"], high=ends["max"])
    if formats := _formats(sample):
        times = pc.strptime(sample, format=formats[0], unit="s")
        return Profile(**counts, type="times", formats=formats, **_ends(times))
    few = sample.slice(0, 10_000)
    words = pc.count_substring_regex(few, r"\w+")
    tags = next(
        (
            separator
            for separator in ("|", ";", ",")
            if (pc.mean(pc.match_substring(few, separator)).as_py() or 0) > 0.2
        ),
        "",
    )
    mean = float(pc.mean(words).as_py() or 0.0)
    return Profile(**counts, type="text", words=mean, tags=tags)


def _all_match(values: pa.ChunkedArray, pattern: str) -> bool:
    return len(values) > 0 and bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _any_matches(values: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(values, pattern)).as_py())


def _formats(values: pa.ChunkedArray) -> tuple[str, ...]:
    """The formats with day, month and year in which all values are times; 1/2 may be both."""
    first = DATES.match(values[0].as_py()) if len(values) else None
    if first is None:
        return ()
    mark = first[1]
    dates = [f"%d{mark}%m{mark}%Y", f"%m{mark}%d{mark}%Y"]
    formats = [date + clock for date in dates for clock in CLOCKS]
    return tuple(
        each
        for each in formats
        if pc.strptime(values, format=each, unit="s", error_is_null=True).null_count == 0
    )


def propose(
    log: FilesDescription,
    folder: Path,
    *,
    users: FilesDescription | None = None,
    items: FilesDescription | None = None,
) -> ProposedStudy:
    """Reads the files once and proposes what their columns are for.

    Raises:
        DataError: a file cannot be read.
    """
    frame = read_columns(log, folder, None)
    if not len(frame):
        raise DataError(f"{frame.name} has no rows")
    if len(names := frame.table.column_names) == 1:
        marks = re.findall(r"[;\t|,]", names[0])
        then = f"set the separator {marks[0]!r}" if marks else "it needs those of users and items"
        raise DataError(f"{frame.name} has one column, {printable(names[0], 60)!r}; {then}")
    described: Mapping[Role, FilesDescription | None] = {"user": users, "item": items}
    tables = {side: read_columns(files, folder, None) for side, files in described.items() if files}
    events = ProposedTable(files=log, rows=len(frame), proposals=tuple(_of_log(frame, tables)))
    sides = {
        side: _of_table(side, table, frame, [each.column.name for each in events.of_role(side)])
        for side, table in tables.items()
    }
    return ProposedStudy(
        log=events,
        users=sides.get("user"),
        items=sides.get("item"),
        repeated=_repeated(frame, events),
        problems=tuple(_problems(events)),
    )


def _problems(events: ProposedTable) -> Iterator[str]:
    for role in _ID_ROLES:
        found = [each.column.name for each in events.of_role(role)]
        if len(found) != 1:
            names = " or ".join(map(repr, found)) or "which column"
            yield f"choose {names} as {role}: the column with the ids of {role}s"


def _of_log(frame: Frame, tables: Mapping[Role, Frame]) -> Iterator[Proposal]:
    profiles = [profile(frame, name) for name in frame.table.column_names]
    ids = {role: _ids(role, profiles, frame, tables.get(role)) for role in _ID_ROLES}
    has_time = has_label = False
    for each in profiles:
        role = next((role for role in _ID_ROLES if each.name in ids[role]), None)
        if role is not None:
            yield Proposal(column=each, role=role, why=ids[role][each.name])
        elif not has_time and _may_be_time(each):
            has_time = True
            yield Proposal(column=each, role="time", why=f"it holds {each.type}")
        elif not has_label and NAMES["label"].search(each.name) and _may_be_label(each):
            has_label = True
            what = "kinds" if each.type == "text" else "numbers"
            why = f"its name, and {each.distinct} {what}"
            yield Proposal(column=_with_range(frame, each), role="label", why=why)
        else:
            yield Proposal(column=each, role="left out", why="of an event, not of a user or item")


def _with_range(frame: Frame, column: Profile) -> Profile:
    """The profile of a label with the ends of all rows: the study refuses what is outside."""
    if column.type == "text":
        return column
    numbers = read_numbers(frame, column.name)
    low, high = (f"{end:.15g}" for end in (np.nanmin(numbers), np.nanmax(numbers)))
    return replace(column, low=low, high=high)


def _ids(
    role: Role, profiles: Sequence[Profile], log: Frame, table: Frame | None
) -> dict[str, str]:
    """The columns of the log that may hold the ids of a side, and why: one, if that is clear.

    What a table of the side has under the same name comes first, then how a column is called, then
    whether the table has its values.
    """
    possible = [each.name for each in profiles if _may_be_id(each)]
    keys = [] if table is None else _keys(table)
    if shared := [name for name in possible if name in keys]:
        return dict.fromkeys(shared, "the table's id")
    if named := [name for name in possible if NAMES[role].search(name)]:
        return dict.fromkeys(_exact(named, role), "its name, and its values come again")
    found = [name for name in possible if table and _overlap(table, keys, log, [name]) > MOSTLY]
    return dict.fromkeys(found, "the table has its values")


def _keys(table: Frame) -> list[str]:
    """The columns of a table that may be its id."""
    profiles = [profile(table, name) for name in table.table.column_names]
    return [each.name for each in profiles if each.is_unique and each.type in _ID_TYPES]


def _may_be_id(column: Profile) -> bool:
    comes_again = column.distinct < column.rows - column.nulls
    return column.type in _ID_TYPES and comes_again


def _exact(names: Sequence[str], role: str) -> list[str]:
    """Of several candidates the one that is called like an id, if it is the only one."""
    if len(names) < 2:
        return list(names)
    called = [name for name in names if re.search(r"id$|^id|sku|isbn|asin", name, re.IGNORECASE)]
    exact = [name for name in names if name.lower() in (role, f"{role}_id", f"{role}id")]
    return exact if len(exact) == 1 else called if len(called) == 1 else list(names)


def _may_be_time(column: Profile) -> bool:
    if column.type == "times":
        return True
    if column.type not in ("whole numbers", "numbers") or not NAMES["time"].search(column.name):
        return False
    return float(column.low) > 1e8


def _may_be_label(column: Profile) -> bool:
    return 2 <= column.distinct <= FEW_KINDS and column.type in ("whole numbers", "numbers", "text")


def _of_table(side: Role, table: Frame, log: Frame, ids: Sequence[str]) -> ProposedTable:
    profiles = [profile(table, name) for name in table.table.column_names]
    keys = _keys(table)
    key = next((name for name in ids if name in keys), None)
    if key is None and keys:
        overlap = {name: _overlap(table, [name], log, ids) for name in keys}
        best = max(keys, key=lambda name: overlap[name])
        key = best if overlap[best] > 0 else None
    title = next(
        (
            each.name
            for each in profiles
            if side == "item"
            and each.type == "text"
            and each.name != key
            and NAMES["title"].search(each.name)
        ),
        None,
    )
    proposals = [_of_column(each, key, title) for each in profiles]
    return ProposedTable(files=table.described, rows=len(table), proposals=tuple(proposals))


_ID_TYPES = ("whole numbers", "text")


def _overlap(table: Frame, keys: Sequence[str], log: Frame, ids: Sequence[str]) -> float:
    """The largest share of the distinct values of the log's columns that a key of the table has."""
    return max(
        (
            float(pc.mean(pc.is_in(values, value_set=own)).as_py() or 0.0)
            for own in (plain(table, key).cast(pa.string()) for key in keys)
            for values in (plain(log, each).unique().cast(pa.string()) for each in ids)
        ),
        default=0.0,
    )


def _of_column(column: Profile, key: str | None, title: str | None) -> Proposal:
    """The proposal for a column of a table of users or items."""
    if column.name == key:
        return Proposal(column=column, role="id", why="of the log's ids")
    if column.name == title:
        return Proposal(column=column, role="title", why="its name", kind="text")
    if column.distinct <= 1 and column.type not in ("lists", "vectors"):
        return Proposal(column=column, role="left out", why="one value says nothing")
    kind, why = _kind_of(column)
    if kind is None:
        return Proposal(column=column, role="left out", why=why)
    return Proposal(column=column, role="feature", why=why, kind=kind)


def _kind_of(column: Profile) -> tuple[FeatureKind | None, str]:
    rows = max(column.rows - column.nulls, 1)
    if column.type == "lists":
        return "tags", "lists"
    if column.type == "vectors":
        return "vector", "lists of numbers"
    if column.type == "times":
        return "datetime", "times"
    if column.type == "true or false":
        return "category", "two values"
    if column.type == "numbers":
        return "number", f"{column.low} to {column.high}"
    if column.type == "whole numbers":
        if column.distinct <= FEW_KINDS:
            return "category", f"{column.distinct} values"
        if re.search(r"id$", column.name, re.IGNORECASE):
            if column.distinct / rows > NEARLY_UNIQUE:
                return None, "says no more than the id"
            return "category", f"{column.distinct:,} ids"
        return "number", f"{column.low} to {column.high}"
    if column.type == "other":
        return None, "neither text, numbers nor times"
    if column.tags and column.distinct > FEW_KINDS:
        return "tags", f"values with {column.tags!r}"
    is_own = column.distinct > FEW_KINDS and column.distinct / rows > NEARLY_UNIQUE
    if is_own and column.words < 2:
        return None, "says no more than the id"
    if is_own or column.words >= LONG_TEXT or column.distinct > FEW_VALUES:
        return "text", f"{column.words:.1f} words each"
    return "category", f"{column.distinct:,} values"


def _repeated(frame: Frame, events: ProposedTable) -> float:
    """The share of rows that repeat a user's item."""
    users, items = events.of_role("user"), events.of_role("item")
    if len(users) != 1 or len(items) != 1:
        return 0.0
    of_user = _codes(plain(frame, users[0].column.name))
    # All rows of some users: a part of all rows would hold fewer of the repeats.
    some = of_user % (1 + len(frame) // LOOKED_AT) == 0
    of_item = _codes(plain(frame, items[0].column.name).filter(pa.array(some)))
    pairs = of_user[some].astype(np.int64) * (int(of_item.max()) + 1) + of_item
    pairs.sort()  # np.unique hashes, which takes many times as long
    return float(np.count_nonzero(np.diff(pairs) == 0) / len(pairs))


def _codes(values: pa.ChunkedArray) -> IntArray:
    encoded = values.dictionary_encode(null_encoding="encode").combine_chunks()
    return np.asarray(encoded.indices.to_numpy())
