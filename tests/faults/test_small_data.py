"""A search finds the small data in its cache, and does with it what it does with all of it."""

from pathlib import Path

import numpy as np
import pytest

from deeprec.config import DataConfig
from deeprec.data.dataset import Dataset, load_prepared, split
from tests.faults.small_data import TRAINING_ROWS
from tests.flows.conftest import Folder

pytestmark = [pytest.mark.data, pytest.mark.faults]


def test_the_rows_held_out_are_the_real_ones(dataset: Dataset, small_cache_home: Path) -> None:
    small = load_prepared(DataConfig(), cache_dir=small_cache_home / "deeprec")
    assert small is not None
    ours, real = split(small, DataConfig()), split(dataset, DataConfig())
    assert len(ours.train) == TRAINING_ROWS
    for column in ("user_id", "movie_id", "rating", "timestamp"):
        last = getattr(real.train, column)[-TRAINING_ROWS:]
        np.testing.assert_array_equal(getattr(ours.train, column), last)
        for part in ("validation", "test"):
            np.testing.assert_array_equal(
                getattr(getattr(ours, part), column), getattr(getattr(real, part), column)
            )


def test_a_search_trains_on_few_rows(tmp_path: Path, small_cache_home: Path) -> None:
    folder = Folder(tmp_path)
    done = folder.run(
        "search.run", "--study", "tiny", "--trials", "2", XDG_CACHE_HOME=str(small_cache_home)
    )
    assert done.returncode == 0, done.stderr
    assert "MovieLens 100K: from the prepared arrays in the cache" in done.stdout
    [study] = folder.runs("study")
    assert len(folder.trials) == 2
    assert f"'train_rows': '{TRAINING_ROWS}'" in str(study.data)
