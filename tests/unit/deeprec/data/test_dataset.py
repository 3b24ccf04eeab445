"""The data set and its splits: nothing lost, nothing shared, in the right order."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deeprec.config import DataConfig
from deeprec.data.dataset import (
    Dataset,
    Splits,
    default_cache_dir,
    load_dataset,
    load_prepared,
    split,
    user_cache_dir,
)
from deeprec.data.tables import FeatureTable, Interactions
from deeprec.errors import DataError
from tests.synthetic import random_interactions, small_dataset

ROWS = 50


@pytest.fixture(scope="module")
def small(users: FeatureTable, movies: FeatureTable) -> Dataset:
    rng = np.random.default_rng(6)
    timestamps = rng.integers(0, 20, ROWS).astype(np.uint32)  # with equal ones among them
    rows = replace(random_interactions(ROWS, seed=5), timestamp=timestamps)
    return small_dataset(users, movies, rows, tutorial_order=rng.permutation(ROWS))


def rows_of(interactions: Interactions) -> list[tuple[float, ...]]:
    columns = (interactions.user_id, interactions.movie_id, interactions.timestamp)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def joined(splits: Splits) -> list[tuple[float, ...]]:
    return [row for part in (splits.train, splits.validation, splits.test) for row in rows_of(part)]


@pytest.mark.parametrize("sizes", [(1, 1), (10, 20), (24, 24), (48, 1)])
def test_every_row_is_in_one_part_in_its_order(small: Dataset, sizes: tuple[int, int]) -> None:
    validation, test = sizes
    config = DataConfig(validation_rows=validation, test_rows=test)
    random, temporal = split(small, config), split(small, replace(config, split="temporal"))
    for parts in (random, temporal):
        assert (len(parts.validation), len(parts.test)) == sizes
        assert len(parts.train) == ROWS - validation - test
        assert sorted(joined(parts)) == sorted(rows_of(small.interactions))
    assert small.tutorial_order is not None
    assert joined(random) == rows_of(small.interactions[small.tutorial_order])
    assert temporal.train.timestamp.max() <= temporal.validation.timestamp.min()
    assert temporal.validation.timestamp.max() <= temporal.test.timestamp.min()


def test_a_split_of_rows_without_an_order_keeps_that_of_the_file(small: Dataset) -> None:
    shuffled = replace(small, tutorial_order=None)
    splits = split(shuffled, DataConfig(validation_rows=7, test_rows=9))
    assert joined(splits) == rows_of(small.interactions)
    for part in (splits.train, splits.validation, splits.test):
        assert np.shares_memory(part.user_id, small.interactions.user_id)
    at_once = replace(small.interactions, timestamp=np.zeros(ROWS, dtype=np.uint32))
    temporal = DataConfig(split="temporal", validation_rows=5, test_rows=5)
    assert joined(split(replace(small, interactions=at_once), temporal)) == rows_of(at_once)


@pytest.mark.parametrize(("validation", "test"), [(25, 25), (1, 49), (40, 30)])
def test_a_split_must_leave_rows_to_train_on(small: Dataset, validation: int, test: int) -> None:
    config = DataConfig(validation_rows=validation, test_rows=test)
    said = f"must leave rows of 50 .* but got {validation} and {test}"
    with pytest.raises(DataError, match=said):
        split(small, config)


def test_prepared_data_is_asked_for_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "deeprec"
    assert load_prepared(DataConfig(), cache_dir=tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_unknown_data_set_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    config = DataConfig(dataset="movielens/1b")  # type: ignore[arg-type]
    message = "must be one of movielens/100k, .*, movielens/25m but got 'movielens/1b'"
    for load in (load_dataset, load_prepared):
        with pytest.raises(DataError, match=message):
            load(config, cache_dir=tmp_path)


@pytest.fixture
def no_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that not even root can make; returns the folder of temporary files."""
    (tmp_path / "file").touch()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return temporary


def test_a_cache_folder_that_cannot_be_written_has_a_stand_in(no_cache_folder: Path) -> None:
    folder = default_cache_dir()
    assert folder.parent == no_cache_folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert default_cache_dir() == folder


def test_a_stand_in_that_others_can_write_is_not_trusted(no_cache_folder: Path) -> None:
    folder = default_cache_dir()
    folder.chmod(0o770)
    assert default_cache_dir() == user_cache_dir()
    folder.rmdir()
    folder.symlink_to(no_cache_folder)
    assert default_cache_dir() == user_cache_dir()


def test_the_usual_cache_is_named_at_last(
    no_cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    assert default_cache_dir() == user_cache_dir()
