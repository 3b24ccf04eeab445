"""What a tiny recommender costs."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from deeprec import serving_costs
from deeprec.data.tables import FloatArray, IntArray
from deeprec.recommender import Recommender
from deeprec.retrieval.approximate import Index
from tests.tiny_recommender import tiny_recommender


def test_the_size_is_that_of_all_files_of_the_saved_recommender(tmp_path: Path) -> None:
    recommender = tiny_recommender()
    recommender.save(tmp_path / "saved")
    files = list((tmp_path / "saved").iterdir())
    assert len(files) == 5
    assert serving_costs.megabytes(recommender) * 1e6 == sum(each.stat().st_size for each in files)


def test_the_time_is_the_median_of_warm_requests_by_known_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, asked = [0.0], list[object]()

    def recommend(_self: Recommender, user: object, k: int) -> Any:
        asked.append(user)
        slow = len(asked) <= serving_costs.WARM_UP or len(asked) % 3 == 0
        now[0] += 9.0 if slow else 0.25

    monkeypatch.setattr(Recommender, "recommend", recommend)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    assert serving_costs.milliseconds(tiny_recommender()) == 250
    assert len(asked) == serving_costs.WARM_UP + serving_costs.TIMED
    assert set(asked) == {1, 2, 3, 5, 8}


class Fargo:
    """An index that knows one movie."""

    def near(self, query: FloatArray, count: int) -> IntArray:
        return np.array([6], np.int32)


def test_an_index_is_held_against_exact_answers_and_timed_beside_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving_costs, "LIST", 1)
    exact = tiny_recommender()
    assert serving_costs.index_costs(exact) == {}
    costs = serving_costs.index_costs(replace(exact, index=cast("Index", Fargo())))
    # User 2 has seen Fargo, so that all movies are scored. User 8 is asked for once.
    best = [user == 2 or exact.recommend(user, 1)[0].title == "Fargo" for user in (1, 2, 3, 5)]
    assert costs["index_recall_at_10"] == pytest.approx(sum(best) / 4, abs=0.01)
    assert 0 < sum(best) < 4
    assert costs["index_milliseconds"] > 0
    assert costs["exact_milliseconds"] > 0


def test_an_index_that_finds_too_little_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_costs, "LIST", 1)
    indexed = replace(tiny_recommender(), index=cast("Index", Fargo()))
    made, costs = serving_costs.without_poor_index(indexed)
    assert made.index is None
    monkeypatch.setattr(serving_costs, "LEAST_RECALL", costs["index_recall_at_10"])
    assert serving_costs.without_poor_index(indexed)[0] is indexed
