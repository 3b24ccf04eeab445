"""Checkpoints on disk: whole or not there, of the same training, gone when it has ended."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec.errors import DataError
from search.records.trials import TrialState
from search.storage.checkpoints import (
    Checkpoint,
    checkpoint_file,
    read_checkpoint,
    remove_checkpoints,
    write_checkpoint,
)
from tests.unit.search.sample_records import curve, trial

MINE = {"study": "a", "training": "TrainingConfig(seed=3)"}
ARRAYS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.asarray(-np.inf), np.asarray(7)]


def made(epochs: int = 10) -> Checkpoint:
    return Checkpoint(belongs_to=MINE, curve=curve(epochs), arrays=ARRAYS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = checkpoint_file(tmp_path / "tiny", 3)
    write_checkpoint(path, made())
    return path


def test_it_comes_back_as_it_was_written(file: Path) -> None:
    assert file.name == "trial-0003.checkpoint"
    found = read_checkpoint(file, MINE)
    assert found is not None
    assert (found.belongs_to, found.curve) == (MINE, curve(10))
    for mine, other in zip(found.arrays, ARRAYS, strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_array_equal(mine, other)


def test_the_next_one_takes_its_place_and_leaves_nothing_else(file: Path) -> None:
    write_checkpoint(file, made(15))
    found = read_checkpoint(file, MINE)
    assert found is not None
    assert len(found.curve) == 15
    assert list(file.parent.iterdir()) == [file]


def test_one_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "none", MINE) is None


@pytest.mark.parametrize(
    ("belongs_to", "message"),
    [
        ({**MINE, "study": "b"}, "another study$"),
        ({**MINE, "study": "b", "device": "A100"}, "another study, another device$"),
    ],
)
def test_that_of_another_training_is_refused(
    file: Path, belongs_to: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=f"it was made with {message}"):
        read_checkpoint(file, belongs_to)


@pytest.mark.parametrize("content", [b"", b"\0" * 500, b"PK\x03\x04 no more"])
def test_what_is_none_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(DataError, match="it is damaged: "):
        read_checkpoint(file, MINE)


@given(data=st.data())
def test_no_damage_changes_a_number(data: st.DataObject, tmp_path_factory: object) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    file = tmp_path_factory.mktemp("damaged") / "checkpoint"
    write_checkpoint(file, made())
    whole = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        del whole[place:]
    else:
        whole[place] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(whole)
    try:
        found = read_checkpoint(file, MINE)
    except DataError:
        return
    assert found is not None  # of the archive's many bytes some say nothing, such as its times
    assert found.curve == curve(10)
    assert all(map(np.array_equal, found.arrays, ARRAYS))


@pytest.mark.parametrize(
    ("state", "is_kept"),
    [
        ("running", True),
        ("interrupted", True),
        ("complete", False),
        ("pruned", False),
        ("diverged", False),
        ("failed", False),
    ],
)
@pytest.mark.parametrize("number", [3, 5])
def test_it_is_removed_once_a_trial_of_its_configuration_has_a_result(
    file: Path, state: TrialState, is_kept: bool, number: int
) -> None:
    ended = trial(number, state, retry_of=3 if number != 3 else None)
    remove_checkpoints(file.parent, [trial(4), ended])
    assert file.exists() == is_kept
