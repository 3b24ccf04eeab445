"""The data of a study, and the cache of compiled programs."""

from pathlib import Path

import pytest

from deeprec.data.tables import FeatureTable
from deeprec.evaluation.ranking import MOVIELENS
from search.execution import data
from search.execution.data import load_data
from tests.synthetic import random_interactions, small_dataset
from tests.unit.search.specs import small_spec


def test_what_is_not_kept_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    users: FeatureTable,
    movies: FeatureTable,
) -> None:
    lines: list[str] = []
    dataset = small_dataset(users, movies, random_interactions(10, seed=1))
    (tmp_path / "file").touch()  # below which not even root makes a folder
    monkeypatch.setattr(data, "load_dataset", lambda *_arguments, **_options: dataset)
    monkeypatch.setattr(data, "split", lambda *_arguments: "its splits")
    monkeypatch.setattr(data, "default_cache_dir", lambda: tmp_path / "file")
    found = load_data(small_spec(tmp_path), None, lines.append)
    assert vars(found) == {"dataset": dataset, "splits": "its splits", "judge": MOVIELENS}
    assert lines == [
        f"compiled programs are not kept: Not a directory: {tmp_path / 'file' / 'compiled'}"
    ]
