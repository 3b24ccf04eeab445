"""What is recommended from what an index finds, beside what is recommended of all items."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
import pytest

from deeprec.data.tables import FloatArray, IntArray
from deeprec.retrieval.approximate import EXPANSION, Index
from deeprec.retrieval.finding import Finder, Found, Mask
from deeprec.retrieval.selection import rows_by_title

ITEMS, DIMENSION, RESERVED = 150, 4, 1
rng = np.random.default_rng(3)
EMBEDDINGS = rng.normal(size=(ITEMS, DIMENSION)).astype(np.float32)
QUERIES = rng.normal(size=(3, DIMENSION)).astype(np.float32)
NONE = np.array([], np.int32)


@dataclass
class Prepared:
    """An index that finds these items, whatever the query, and keeps how many it was asked for."""

    rows: Sequence[int]
    counts: list[int] = field(default_factory=list)

    def near(self, query: FloatArray, count: int) -> IntArray:
        self.counts.append(count)
        return np.array(self.rows[:count], np.int32)


def finder(index: Index | Prepared | None, titles: Sequence[str] = ()) -> Finder:
    return Finder(
        embeddings=EMBEDDINGS,
        reserved=RESERVED,
        same=rows_by_title(titles),
        index=cast("Index | None", index),
    )


@pytest.fixture(scope="module")
def real() -> Finder:
    return finder(Index.of(EMBEDDINGS, RESERVED))


def best(
    found: Finder,
    counts: Sequence[int] = (5, 5, 5),
    seen: Sequence[Any] = (NONE, NONE, NONE),
    among: Mask | None = None,
    *,
    exact: bool = False,
) -> Found:
    return found.best(
        jnp.asarray(QUERIES),
        [np.array(rows, np.int32) for rows in seen],
        np.array(counts),
        found.allowed(among),
        exact=exact,
    )


def assert_same(found: Found, expected: Found) -> None:
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)
    shown = np.isfinite(expected[1])
    np.testing.assert_array_equal(found[0][shown], expected[0][shown])


def test_what_is_near_is_ranked_by_its_scores() -> None:
    rows, scores = best(finder(Prepared([40, 20, 30, 10])), counts=[2, 3, 1])
    for user, count in enumerate([2, 3, 1]):
        own = {row: EMBEDDINGS[row] @ QUERIES[user] for row in (10, 20, 30, 40)}
        expected = sorted(own, key=lambda row: -own[row])[:count]
        assert rows[user, :count].tolist() == expected
        assert scores[user, :count] == pytest.approx([own[row] for row in expected])
        assert (scores[user, count:] == -np.inf).all()


def test_of_equal_scores_the_lower_row_comes_first() -> None:
    equal = replace(finder(Prepared([7, 3, 9, 5])), embeddings=np.ones_like(EMBEDDINGS))
    assert best(equal, counts=[3, 3, 3])[0].tolist() == [[3, 5, 7]] * 3


def test_the_index_is_left_aside_where_the_exact_answer_is_asked_for() -> None:
    prepared = Prepared([40, 20, 30, 10])
    assert_same(best(finder(prepared), exact=True), best(finder(None)))
    assert prepared.counts == []


@pytest.mark.parametrize("keep", [1.0, 0.5], ids=["all", "half"])
def test_what_was_seen_and_what_is_not_allowed_does_not_come_out(real: Finder, keep: float) -> None:
    everything = best(real, counts=[40, 40, 40], exact=True)[0]
    seen = [everything[0], everything[1, ::2], NONE]
    among = np.random.default_rng(4).random(ITEMS) < keep
    found = best(real, seen=seen, among=among)
    assert_same(found, best(real, seen=seen, among=among, exact=True))
    for user in range(3):
        assert not set(found[0][user].tolist()) & {0, *seen[user].tolist()}
        assert among[found[0][user]].all()


def test_items_that_are_one_to_people_come_out_once_and_not_if_one_was_seen(real: Finder) -> None:
    titles = ["", *(f"title {row // 3}" for row in range(1, ITEMS))]
    copies = finder(real.index, titles)
    first = best(copies, exact=True)[0]
    seen = [first[0, :1] ^ 1, NONE, NONE]
    found = best(copies, seen=seen)
    assert_same(found, best(copies, seen=seen, exact=True))
    for user in range(3):
        assert len({titles[row] for row in found[0][user]}) == 5


def test_where_too_few_are_near_all_items_are_scored() -> None:
    """Users 0 and 2 want more than there is; user 1 has enough of it."""
    prepared = finder(Prepared([40, 20, 30, 10]))
    counts, seen = [5, 3, 4], [NONE, NONE, [40]]
    rows, scores = best(prepared, counts, seen)
    exact_rows, exact_scores = best(prepared, counts, seen, exact=True)
    assert rows[0].tolist() == exact_rows[0].tolist()
    assert set(rows[1, :3].tolist()) < {40, 20, 30, 10}
    assert rows[2, :4].tolist() == exact_rows[2, :4].tolist()
    np.testing.assert_allclose(scores[[0, 2]], exact_scores[[0, 2]])


def test_no_reply_is_shorter_than_the_exact_one(real: Finder) -> None:
    among = np.isin(np.arange(ITEMS), [0, 3, 5, 77])
    rows, scores = best(real, counts=[200, 3, 4], seen=[NONE, [5], NONE], among=among)
    assert np.isfinite(scores).sum(axis=1).tolist() == [3, 2, 3]
    assert_same((rows, scores), best(real, [200, 3, 4], [NONE, [5], NONE], among, exact=True))


def test_the_more_is_left_out_the_more_is_asked_for() -> None:
    prepared = Prepared(range(1, ITEMS))
    best(finder(prepared), seen=[NONE, range(1, 31), NONE])
    assert prepared.counts == [EXPANSION + 5, EXPANSION + 35, EXPANSION + 5]
    prepared.counts.clear()
    half = np.arange(ITEMS) % 2 == 1
    best(finder(prepared), among=half)
    assert prepared.counts == [EXPANSION + 10] * 3


def test_an_index_is_not_asked_for_more_than_pays() -> None:
    prepared = Prepared(range(1, ITEMS))
    few = np.arange(ITEMS) == 7
    long = np.arange(1, 100).repeat(2)
    rows, scores = best(finder(prepared), counts=[20, 20, 20], among=few)
    assert rows[:, 0].tolist() == [7, 7, 7]
    assert np.isfinite(scores).sum(axis=1).tolist() == [1, 1, 1]
    best(finder(prepared), seen=[long, long, long])
    assert prepared.counts == []


def test_without_users_there_is_nothing() -> None:
    rows, scores = finder(Prepared([1])).best(
        jnp.zeros((1, DIMENSION)), [], np.array([], np.int64), np.ones(ITEMS, bool), exact=False
    )
    assert rows.shape == scores.shape == (0, 1)
