"""What a tiny recommender costs."""

import time
from pathlib import Path
from typing import Any

import pytest

from deeprec.recommender import Recommender
from search.execution import serving_costs
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
