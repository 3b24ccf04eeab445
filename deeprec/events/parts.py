"""The rows of a log that count: divided into parts, deduplicated, thinned out, checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deeprec.data.preparation import order_of, permutation
from deeprec.data.tables import IntArray
from deeprec.errors import DataError
from deeprec.events.columns import Mask, Times, distinct, read_times, shown_time
from deeprec.events.description import DataDescription, FilesDescription, TimeDescription
from deeprec.events.files import Frame

PARTS = ("train", "validation", "test")
Say = Callable[[str], None]


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


def split_events(events: Events, described: DataDescription) -> Events:
    """The events by part, in each by time, or shuffled where the split is random.

    Raises:
        DataError: the dates of the split are none.
    """
    split = described.split
    if split.by == "files":
        order = np.lexsort((events.time, events.part))
        return events.take(order)
    if split.by == "random":
        shuffled = events.take(permutation(len(events)))
        return _with_parts(shuffled, _shares(len(events), described))
    ordered = events.take(order_of(events.time))
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


def deduplicated(events: Events, described: DataDescription, frame: Frame) -> Events:
    """One row of each user with each item in a part, as the study wants it.

    What comes again in a later part stays there, as how often a user has an item is known only by
    then: unless the study has ``repeats``, evaluation does not ask for it. Only where there should
    be none at all, rows of all parts are compared.

    Raises:
        DataError: there are several, and the study wants that to be an error.
    """
    if described.duplicates == "keep":
        return events
    pair = _pairs(events)
    if described.duplicates != "error":
        pair += events.part.astype(np.int64) * (int(pair.max()) + 1)
    order = order_of(pair)
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


def _pairs(events: Events) -> npt.NDArray[np.int64]:
    """A number for each user with each item."""
    return events.user.astype(np.int64) * (int(events.item.max()) + 1) + events.item


def thinned(events: Events, described: DataDescription, say: Say) -> Events:
    """The events without training rows of users and items that have too few of them.

    Raises:
        DataError: none is left.
    """
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


def check_parts(events: Events, described: DataDescription) -> list[int]:
    """Checks that every part has rows, those evaluated relevant ones, and a user to validate with.

    Returns:
        How many relevant rows of each part are not asked for, as their users have the items
        already.

    Raises:
        DataError: a part has none.
    """
    counts = np.bincount(events.part, minlength=3)
    had = [0, 0, 0]
    for part, count in enumerate(counts.tolist()):
        purpose = _PURPOSE[PARTS[part]]
        if count == 0:
            raise DataError(
                f"the split leaves no row to {purpose}{_range_of(events, described)}; "
                "change split.validation and split.test"
            )
        relevant = events.relevant & (events.part == part)
        if part and not relevant.any():
            raise DataError(f"no row to {purpose} is relevant; change the split or label.relevant")
        if part and not described.repeats:
            had[part] = _had_before(events, relevant, part)
            if had[part] == relevant.sum():
                raise DataError(
                    f"all relevant rows to {purpose} are of items that their users have already; "
                    "set repeats = true if these may be recommended again, or change the split"
                )
    known, validated = (distinct(events.user[events.part == part]) for part in (0, 1))
    if not np.isin(validated, known).any() and not described.users.features:
        raise DataError(
            "no user of the validation rows has a training row, and users have no features to "
            "know them by; change the split"
        )
    return had


def _had_before(events: Events, rows: Mask, part: int) -> int:
    """How many of some rows of a part are of items that their users have in an earlier part."""
    pairs = _pairs(events)
    before, asked = np.sort(pairs[events.part < part]), np.sort(pairs[rows])
    places = np.minimum(np.searchsorted(before, asked), len(before) - 1)
    return int((before[places] == asked).sum())


_PURPOSE = {"train": "train on", "validation": "validate on", "test": "test on"}


def _range_of(events: Events, described: DataDescription) -> str:
    if described.time is None:
        return ""
    first, last = (shown_time(float(time)) for time in (events.time.min(), events.time.max()))
    return f" (the times are {first} to {last})"


def say_parts(events: Events, had: Sequence[int], say: Say) -> None:
    """Says how many rows each part has, and how much of it training does not know.

    ``had`` is from :func:`check_parts`.
    """
    counts = np.bincount(events.part, minlength=3).tolist()
    say(f"{counts[0]:,} rows to train on, {counts[1]:,} to validate on, {counts[2]:,} to test on")
    for number, part in enumerate(PARTS[1:], start=1):
        own = events.part == number
        unknown = [
            f"{_unknown(codes, own, events.part == 0):,} {name}"
            for name, codes in (("users", events.user), ("items", events.item))
        ]
        say(f"{part}: {' and '.join(unknown)} that training does not know")
        if had[number]:
            rows = "1 row is" if had[number] == 1 else f"{had[number]:,} rows are"
            say(f"{part}: {rows} not asked for, of what a user has already")


def _unknown(codes: IntArray, rows: Mask, training: Mask) -> int:
    return len(np.setdiff1d(distinct(codes[rows]), distinct(codes[training])))
