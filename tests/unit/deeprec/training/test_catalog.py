"""What lists show of the catalog: worked out by hand, and by definitions written another way."""

import math
from typing import get_args

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from deeprec.config import CatalogMetricName, Metric
from deeprec.training.lists import Asked, measured
from deeprec.training.metrics import Catalog
from tests.unit.deeprec.training.test_lists import rows

OF_THE_CATALOG = get_args(CatalogMetricName)
ITEMS = 6  # rows of the table: two reserved ones, and items 2 to 5
KNOWN = rows(
    *[(user, 2, True) for user in (2, 3, 4, 5)],  # item 2: all four users
    *[(2, 3, False), (3, 3, True), (3, 3, True)],  # item 3: two of them, one of them twice
    (2, 4, True),  # item 4: one, and item 5 none
)
WANTED = rows((2, 5, True), (3, 5, True))  # what two users are asked for
LISTS = np.array([[2, 3, 4], [2, 5, 0]], np.int32)  # a place of the second is empty
ASKED = Asked.of(WANTED, KNOWN, ITEMS, reserved=2)


def test_popularity_is_the_number_of_users_with_a_row() -> None:
    assert ASKED.catalog.popularity.tolist() == [4, 2, 1, 0]
    assert ASKED.catalog.users == 4


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        # -log2(4/4), -log2(2/4), -log2(1/4) of log2(4); item 5 counts as had by one user
        ("novelty@3", (0 + 1 / 2 + 2 / 2 + 0 + 2 / 2) / 5),
        ("novelty@1", 0.0),
        # three of the four items are less popular than item 2, and half of itself
        ("popularity_percentile@3", (3.5 + 2.5 + 1.5 + 3.5 + 0.5) / 4 / 5),
        ("popularity_percentile@1", 3.5 / 4),
        # the items are in 2, 1, 1 and 1 lists: differences of 1 in six of the sixteen pairs
        ("gini@3", 6 / (2 * 16 * 5 / 4)),
        ("gini@1", 3 / 4),  # one of four items has every place
        ("coverage@3", 4 / 4),
        ("coverage@1", 1 / 4),
    ],
)
def test_metrics_of_all_lists_are_worked_out_by_hand(metric: str, value: float) -> None:
    asked_for = Metric.of(metric)
    assert measured(LISTS, ASKED, [asked_for]) == {asked_for.key: pytest.approx(value)}


popularities = st.lists(st.integers(0, 50), min_size=2, max_size=30)


@given(popularities, st.integers(0, 2**32 - 1))
def test_they_agree_with_their_definitions(popularity: list[int], seed: int) -> None:
    catalog = Catalog(np.array(popularity), users=50)
    shown = np.random.default_rng(seed).integers(0, len(popularity), 40)
    places = [int((shown == item).sum()) for item in range(len(popularity))]
    differences = sum(abs(one - other) for one in places for other in places)
    percentiles = scipy.stats.percentileofscore(popularity, popularity, kind="mean") / 100
    informations = [-math.log2(max(count, 1) / 50) / math.log2(50) for count in popularity]
    assert catalog.measure("gini", shown) == pytest.approx(
        differences / (2 * len(places) ** 2 * np.mean(places))
    )
    assert catalog.measure("popularity_percentile", shown) == pytest.approx(
        np.mean(percentiles[shown])
    )
    assert catalog.measure("novelty", shown) == pytest.approx(
        np.mean([informations[item] for item in shown]), abs=1e-12
    )


@given(popularities)
def test_the_whole_catalog_is_shown_evenly_and_its_mean_percentile_is_one_half(
    popularity: list[int],
) -> None:
    catalog, shown = Catalog(np.array(popularity), users=50), np.arange(len(popularity))
    assert catalog.measure("coverage", shown) == 1
    assert catalog.measure("gini", shown) == pytest.approx(0)
    assert catalog.measure("popularity_percentile", shown) == pytest.approx(1 / 2)


@given(popularities, st.sampled_from(OF_THE_CATALOG), st.integers(0, 2**32 - 1))
def test_they_lie_in_0_to_1(popularity: list[int], name: str, seed: int) -> None:
    shown = np.random.default_rng(seed).integers(0, len(popularity), 7)
    value = Catalog(np.array(popularity), users=50).measure(name, shown)
    assert 0 <= value <= 1


@pytest.mark.parametrize("name", OF_THE_CATALOG)
def test_none_of_them_is_an_objective(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"ndcg@k.* but got '{name}@10', which .* name it in also"
    ):
        Metric.objective(f"{name}@10")
    assert Metric.objective("recall@5") == Metric("recall", 5)
