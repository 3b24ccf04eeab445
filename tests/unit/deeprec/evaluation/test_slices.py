"""Parts of the evaluated rows: which there are, how many users they have, and a metric of each."""

from collections.abc import Mapping
from itertools import chain

import numpy as np
import pytest

from deeprec.config import Metric
from deeprec.evaluation.ranking import Judgment
from deeprec.evaluation.slices import (
    MOST_VALUES,
    Slice,
    by_slice,
    category_slices,
    slices_of,
    users_in,
)
from deeprec.training.lists import Asked, ByUser
from tests.synthetic import MOVIES, USERS, random_interactions
from tests.unit.deeprec.training.test_lists import rows

ITEMS = 8
EVALUATED = rows(*[(2, 3, True), (3, 3, True), (4, 3, True), (5, 6, True), (5, 2, True)])
KNOWN = rows(*[(2, 2, True), *[(3, 2, True)] * 2, *[(4, 2, True)] * 5, (9, 3, True)])
"""User 5 has no row and item 6 none; item 2 has eight of the nine, item 3 has one."""

ASKED = Asked.of(EVALUATED, KNOWN, ITEMS, reserved=2, repeats=True)
LISTS = np.array([[3, 4], [4, 3], [4, 5], [4, 6]], np.int32)
MRR = Metric.of("mrr@2")


def means(of_slices: Mapping[str, ByUser]) -> dict[str, float]:
    return {name: each.mean for name, each in of_slices.items()}


def test_slices_are_by_activity_of_users_and_popularity_of_items() -> None:
    found = list(slices_of(ASKED))
    assert means(by_slice(LISTS, ASKED, MRR, found)) == {
        "mrr_at_2_known_users": pytest.approx((1 + 1 / 2 + 0) / 3),  # users 2, 3 and 4
        "mrr_at_2_unknown_users": 0.5,  # user 5
        "mrr_at_2_least_active_users": 1.0,  # user 2, with one row
        "mrr_at_2_most_active_users": 0.0,  # user 4, with five
        "mrr_at_2_most_popular_items": 0.0,  # item 2, wanted by user 5
        "mrr_at_2_least_popular_items": pytest.approx((1 + 1 / 2 + 0) / 3),  # item 3
        "mrr_at_2_unknown_items": 0.5,  # item 6, wanted by user 5
    }
    assert users_in(ASKED, found) == {
        "known_users": 3,
        "unknown_users": 1,
        "least_active_users": 1,
        "most_active_users": 1,
        "most_popular_items": 1,
        "least_popular_items": 3,
        "unknown_items": 1,
    }


def test_what_is_nothing_or_everything_is_no_slice() -> None:
    everyone = Slice("everyone", "users", np.ones(10, bool))
    nothing = Slice("nothing", "items", np.zeros(ITEMS, bool))
    assert by_slice(LISTS, ASKED, MRR, [everyone, nothing]) == {}
    assert users_in(ASKED, [everyone, nothing]) == {}


def test_an_accuracy_of_rows_is_one_of_rows_in_a_slice_too() -> None:
    evaluated = rows((2, 3, True), (2, 4, True), (2, 5, True), (3, 2, True), (4, 7, True))
    asked = Asked.of(evaluated, KNOWN, ITEMS, reserved=2, repeats=True)
    two = Slice("two", "users", np.isin(np.arange(10), [2, 3]))
    found = by_slice(np.array([[3], [2], [7]], np.int32), asked, Metric.of("top_accuracy@1"), [two])
    assert means(found) == {"top_1_accuracy_two": 2 / 4}


def test_categories_are_slices_and_rare_values_one_together() -> None:
    codes = np.arange(MOST_VALUES + 4, dtype=np.int32)  # none, unknown, and fourteen values
    values = ["R&B", "R+B", 80, *"abcdefghi", "rare", "rarer"]
    found = {
        each.name: each.rows for each in category_slices("items", "kind of music", codes, values)
    }
    assert len(found) == MOST_VALUES + 2
    where = {name: np.flatnonzero(rows).tolist() for name, rows in found.items()}
    assert where["kind of music:missing"] == [0]
    assert where["kind of music:other"] == [1, 14, 15]
    assert where["kind of music:R_B"] == [2], "MLflow refuses most marks"
    assert where["kind of music:R_B 3"] == [3], "another value with the same letters"
    assert where["kind of music:80"] == [4]
    assert sorted(chain.from_iterable(where.values())) == codes.tolist(), "each is in one of them"


def test_only_test_rows_are_measured_in_parts() -> None:
    train, evaluated = random_interactions(60, 1), random_interactions(300, 2)
    scores = np.random.default_rng(0).random((USERS, MOVIES), np.float32)
    for judge in (Judgment(), Judgment(metrics=(Metric.of("hit@20"), Metric.of("recall@5")))):
        whole = judge(scores.__getitem__, train, evaluated, MOVIES).named("val")
        parts = judge.of_test(scores.__getitem__, train, evaluated, MOVIES).named("val")
        assert parts.items() > whole.items()
        added = [name for name in parts if name not in whole]
        users = judge.users_in_slices(train, evaluated, MOVIES)
        objective = next(iter(whole))
        assert added == [f"{objective}_{name}" for name in users]
        assert {"known_users", "unknown_users", "unknown_items"} <= set(users)
