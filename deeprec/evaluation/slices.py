"""Slices: parts of the evaluated rows for which a metric is measured by itself.

A slice is some of the users, or some of the items: then what counts is what users want of them.
Which slices there are depends on the rows alone, so that a model and the references are measured
with the same ones.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from deeprec.config import Metric
from deeprec.data.dataset import Dataset
from deeprec.data.tables import IntArray
from deeprec.training.lists import Asked, ByUser, of_users

Side = Literal["users", "items"]
USERS: Side = "users"
ITEMS: Side = "items"

MOST_VALUES = 12
"""Slices of a feature: its most frequent values; the others are one slice together."""


@dataclass(frozen=True)
class Slice:
    """Some users, or some items.

    Attributes:
        name: such as ``unknown_users`` or ``region:north``, as names in tracking may be.
        side: of what.
        rows: bool ``[rows]``, which rows of that side's table.
    """

    name: str
    side: Side
    rows: npt.NDArray[np.bool_]

    def of(self, asked: Asked) -> Asked:
        """The same users, of whose relevant items only those of the slice count."""
        users, items = asked.users[asked.relevant // asked.items], asked.relevant % asked.items
        is_in = self.rows[users if self.side == USERS else items]
        return replace(asked, relevant=asked.relevant[is_in])


def slices_of(asked: Asked) -> Iterator[Slice]:
    """The slices by the rows that were learned from: how active users are, how popular items.

    ``known_users`` have such a row, ``unknown_users`` none. Of the evaluated known users those with
    the fewest and the most rows are ``least_active_users`` and ``most_active_users``, a third each.
    ``most_popular_items`` are the fewest items that have a third of all rows, the short head
    (Cremonesi et al. 2010), ``least_popular_items`` the most items that have a third, and
    ``unknown_items`` have none.
    """
    known = asked.known
    active = np.bincount(known.user_id, minlength=int(asked.users.max(initial=0)) + 1)
    evaluated = active[asked.users]
    least, most = (
        np.quantile(evaluated[evaluated > 0], [1 / 3, 2 / 3]) if evaluated.any() else (0, 0)
    )
    popular = np.bincount(known.movie_id, minlength=asked.items)
    order = np.argsort(-popular, kind="stable")
    before = np.empty(len(popular))
    before[order] = (np.cumsum(popular[order]) - popular[order]) / max(len(known), 1)
    yield Slice("known_users", USERS, active > 0)
    yield Slice("unknown_users", USERS, active == 0)
    yield Slice("least_active_users", USERS, (active > 0) & (active <= least))
    yield Slice("most_active_users", USERS, active > most)
    yield Slice("most_popular_items", ITEMS, (popular > 0) & (before < 1 / 3))
    yield Slice("least_popular_items", ITEMS, (popular > 0) & (before >= 2 / 3))
    yield Slice("unknown_items", ITEMS, popular == 0)


def feature_slices(dataset: Dataset, names: Iterable[str]) -> Iterator[Slice]:
    """The slices by categories of data of one's own: by features of users or items, by name."""
    own = dataset.own
    for name in names:
        assert own is not None, "only a study of such data names features"
        if name in dataset.users.columns:
            side, table, encodings = USERS, dataset.users, own.encodings
        else:
            side, table, encodings = ITEMS, dataset.movies, own.item_encodings
        [values] = [each["values"] for each in encodings if each["name"] == name]
        yield from category_slices(side, name, table.columns[name], values)


def category_slices(
    side: Side, name: str, codes: IntArray, values: Sequence[object]
) -> Iterator[Slice]:
    """The slices of a category, such as ``region:north``: one of each of its frequent values.

    ``region:other`` has the values beyond the :data:`MOST_VALUES` most frequent ones and those
    that training does not know, ``region:missing`` has no value.

    Args:
        side: of what it is a feature.
        name: of the feature.
        codes: int32 ``[rows]``: 0 where there is no value, 1 for one that training does not know,
            then ``values``.
        values: the most frequent first.
    """
    parts = {"missing": codes == 0, "other": (codes == 1) | (codes > MOST_VALUES + 1)}
    for place, value in enumerate(values[:MOST_VALUES], start=2):
        word = _word(value)
        parts[f"{word} {place}" if word in parts else word] = codes == place
    for word, rows in parts.items():
        yield Slice(f"{_word(name)}:{word}", side, rows)


def _word(text: object) -> str:
    """A text as a part of a name in tracking, where few marks are allowed."""
    return re.sub(r"[^\w.\- ]", "_", str(text))[:40]


def users_in(asked: Asked, slices: Iterable[Slice]) -> dict[str, int]:
    """How many users each slice has; without those that have none, or all that is relevant."""
    return {each.name: int((part.counts > 0).sum()) for each, part in _parts(asked, slices)}


def by_slice(
    lists: IntArray, asked: Asked, metric: Metric, slices: Iterable[Slice]
) -> dict[str, ByUser]:
    """A metric of lists for each slice, by its key with the slice's name behind it.

    Those that :func:`users_in` leaves out are left out.

    Args:
        lists: int32 ``[users, at least k]``.
        asked: the users and what they like.
        metric: of single users.
        slices: on which parts.
    """
    found, judged = {}, asked.judged(lists)
    for each, part in _parts(asked, slices):
        some = part.counts > 0
        items, hits = lists[some], judged.hits[some]
        own = hits if each.side == USERS else hits & each.rows[items]
        of_part = judged._replace(items=items, hits=own, counts=part.counts[some])
        found[f"{metric.key}_{each.name}"] = of_users(metric, of_part)
    return found


def _parts(asked: Asked, slices: Iterable[Slice]) -> Iterator[tuple[Slice, Asked]]:
    """The slices that have something and not all, each with what is relevant in it."""
    for each in slices:
        part = each.of(asked)
        if 0 < len(part.relevant) < len(asked.relevant):
            yield each, part
