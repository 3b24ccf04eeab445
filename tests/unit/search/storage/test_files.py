"""Towers and checkpoints: whole or not there, found again, also where all machines look."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deeprec.data.verified_files import MANIFEST, check_folder, write_folder
from deeprec.errors import DataError
from search.records.errors import InputError
from search.records.trials import TrialState
from search.storage.files import (
    TOWER_FILES,
    Checkpoint,
    Shared,
    check_shared,
    checkpoint_file,
    find_towers,
    load_towers,
    read_checkpoint,
    remove_checkpoints,
    remove_leftovers,
    save_towers,
    tower_folder,
    write_checkpoint,
)
from tests.tiny_recommender import MOVIES, USERS, tiny_model
from tests.unit.search.sample_records import curve, trial


class Tower:
    """Saved as the text it is made of."""

    def __init__(self, text: str) -> None:
        self.text = text

    def save(self, path: Path) -> None:
        path.write_text(self.text)


class Model:
    def __init__(self, query: Tower, candidate: Tower) -> None:
        self.query_model = query
        self.candidate_model = candidate


def save(folder: Path, *towers: Tower, name: int | str = 3) -> Path:
    return save_towers(Model(*towers), folder, name)  # type: ignore[arg-type]


def test_both_towers_of_a_trial_lie_in_one_folder(tmp_path: Path) -> None:
    folder = save(tmp_path / "tiny", Tower("query"), Tower("candidate"))
    assert folder == tmp_path / "tiny" / "trial-0003"
    assert (folder / "query_model.keras").read_text() == "query"
    assert (folder / "candidate_model.keras").read_text() == "candidate"
    assert find_towers(tmp_path / "tiny", 3) == folder


def test_folders_sort_by_trial_and_may_have_other_names(tmp_path: Path) -> None:
    assert [tower_folder(tmp_path, name).name for name in (7, 12345, "retrained-0007-seed-1")] == [
        "trial-0007",
        "trial-12345",
        "retrained-0007-seed-1",
    ]


@pytest.mark.parametrize("missing", TOWER_FILES)
def test_one_tower_alone_is_none(tmp_path: Path, missing: str) -> None:
    folder = save(tmp_path, Tower("query"), Tower("candidate"))
    (folder / missing).unlink()
    assert find_towers(tmp_path, 3) is None
    assert find_towers(tmp_path / "not there", 0) is None


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return save_towers(tiny_model(), tmp_path, 3)


def test_real_towers_come_back_as_they_were_saved(real: Path) -> None:
    query, candidate = load_towers(real)
    model = tiny_model()
    for loaded, saved, table in (
        (query, model.query_model, USERS),
        (candidate, model.candidate_model, MOVIES),
    ):
        columns = dict(table.columns)
        np.testing.assert_array_equal(np.asarray(loaded(columns)), np.asarray(saved(columns)))


def test_towers_in_each_others_place_are_refused(real: Path) -> None:
    query, candidate = (real / name for name in TOWER_FILES)
    query.rename(real / "third")
    candidate.rename(query)
    (real / "third").rename(candidate)
    digests = json.loads((real / MANIFEST).read_text())
    swapped = dict(zip(TOWER_FILES, reversed([digests[name] for name in TOWER_FILES]), strict=True))
    (real / MANIFEST).write_text(json.dumps(swapped))
    with pytest.raises(DataError, match="must hold a QueryModel but holds a CandidateModel"):
        load_towers(real)


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = save(tmp_path, Tower("query"), Tower("candidate"))
    for name in (".trial-0004.abc", ".trial-0005.xyz"):
        (tmp_path / name / "new").mkdir(parents=True)
        (tmp_path / name / "new" / TOWER_FILES[0]).touch()
    (tmp_path / ".trial-0006.checkpoint.abc").touch()
    elsewhere = tmp_path / ".confirmed-1.abc"
    elsewhere.mkdir()
    checkpoint = tmp_path / "trial-0006.checkpoint"
    checkpoint.touch()
    assert remove_leftovers(tmp_path) == 3
    assert sorted(tmp_path.iterdir()) == [elsewhere, kept, checkpoint]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "file").touch()
    (tmp_path / "towers").mkdir()
    (tmp_path / "towers" / ".trial-0001.link").symlink_to(tmp_path / "others")
    assert remove_leftovers(tmp_path / "towers") == 0
    assert (tmp_path / "others" / "file").exists()


def test_without_a_folder_there_is_nothing_to_remove(tmp_path: Path) -> None:
    assert remove_leftovers(tmp_path / "not there") == 0


def rewritten(source: Path, target: Path, name: str, content: bytes, packing: int) -> None:
    """Copies an archive, one of its files replaced."""
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w", packing) as after:
        for member in before.namelist():
            after.writestr(member, content if member == name else before.read(member))


@pytest.mark.parametrize(
    ("change", "packing", "message"),
    [
        (lambda text: text, zipfile.ZIP_DEFLATED, "must hold files that are not compressed"),
        (
            lambda text: text.replace(b"deeprec>QueryModel", b"Lambda"),
            zipfile.ZIP_STORED,
            "must hold a QueryModel but holds a Lambda",
        ),
    ],
)
def test_what_a_file_says_that_it_holds_is_checked_before_keras_builds_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[bytes], bytes],
    packing: int,
    message: str,
) -> None:
    saved = save_towers(tiny_model(), tmp_path, 3)
    query_file, candidate_file = TOWER_FILES
    with zipfile.ZipFile(saved / query_file) as archive:
        config = change(archive.read("config.json"))

    def fill(folder: Path) -> None:  # the manifest is right: it says nothing of who wrote it
        rewritten(saved / query_file, folder / query_file, "config.json", config, packing)
        (folder / candidate_file).write_bytes((saved / candidate_file).read_bytes())

    write_folder(tmp_path / "given", fill)
    monkeypatch.setattr(
        "deeprec.model.saving.load_model", lambda _path: pytest.fail("Keras has read it")
    )
    with pytest.raises(DataError, match=message):
        load_towers(tmp_path / "given")


@given(st.one_of(st.text(), st.integers()))
@example("..")
@example("../other")
@example("/etc")
@example(".hidden")
@example("a/../b")
def test_no_name_leads_out_of_the_folder(name: int | str) -> None:
    root = Path("/studies/tiny")
    try:
        folder = tower_folder(root, name)
    except ValueError:
        return
    assert folder.parent == root
    assert Path(os.path.normpath(folder)) == folder
    assert not folder.name.startswith(".")


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


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(f"file://{tmp_path}/shared", "0123")


def saved(folder: Path, number: int = 0) -> Path:
    towers = tower_folder(folder, number)

    def fill(place: Path) -> None:
        for name in TOWER_FILES:
            (place / name).write_text(f"{name} of {number}")

    write_folder(towers, fill)
    return towers


def test_towers_that_one_machine_keeps_another_brings_home(shared: Shared, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    towers = saved(there)
    shared.keep(towers)
    warnings: list[str] = []
    shared.bring_home(here, [trial(0), trial(1)], warnings.append)
    check_folder(tower_folder(here, 0), TOWER_FILES)
    for name in TOWER_FILES:
        assert (tower_folder(here, 0) / name).read_bytes() == (towers / name).read_bytes()
    assert not tower_folder(here, 1).exists()
    assert not warnings


def test_what_is_kept_again_is_replaced_and_nothing_half_written_stays(
    shared: Shared, tmp_path: Path
) -> None:
    path = tmp_path / "trial-0000.checkpoint"
    for content in (b"first", b"second"):
        path.write_bytes(content)
        shared.keep(path)
    assert shared.names() == {path.name}
    path.unlink()
    shared.fetch(path)
    assert path.read_bytes() == b"second"
    shared.remove(path.name)
    shared.remove(path.name)
    shared.fetch(tmp_path / "trial-0001.checkpoint")
    assert shared.names() == set()


def test_what_differs_from_its_digest_is_not_brought(shared: Shared, tmp_path: Path) -> None:
    towers = saved(tmp_path / "there")
    shared.keep(towers)
    [stored] = (tmp_path / "shared" / "0123").iterdir()
    damaged = bytearray(stored.read_bytes())
    damaged[-1] ^= 1
    stored.write_bytes(damaged)
    with pytest.raises(DataError, match="differs from its SHA-256"):
        shared.fetch(tower_folder(tmp_path / "here", 0))
    warnings: list[str] = []
    shared.bring_home(tmp_path / "here", [trial(0)], warnings.append)
    assert "the towers of trial 0 are not brought here" in warnings[0]
    assert not tower_folder(tmp_path / "here", 0).exists()


@pytest.mark.parametrize("address", ["/tmp/x", "file://x", "s3://", "ftp://host/x", ""])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="--shared must be file:///FOLDER, s3://BUCKET/FOLDER or"):
        check_shared(Shared(address, "0123"))
