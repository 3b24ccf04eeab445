"""The towers a study saves: whole, found again, loaded only as they were saved."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deeprec.data.verified_files import MANIFEST, write_folder
from deeprec.errors import DataError
from search.storage.towers import (
    TOWER_FILES,
    find_towers,
    load_towers,
    remove_leftovers,
    save_towers,
    tower_folder,
)
from tests.tiny_recommender import MOVIES, USERS, tiny_model


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
