"""Names that become files and folders: none leads out of the folder it is looked up in."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search.config.sections import SAFE_NAME
from search.config.workspace import Workspace
from search.tracking.store import _file_name

WAYS_OUT = st.text("./\\ a\0~:", max_size=12)


@given(st.one_of(st.text(), WAYS_OUT))
@example("..")
@example(".")
@example("")
@example("../../etc")
@example("/absolute")
@example("x" * 5000)
def test_the_folder_of_an_experiment_lies_among_the_artifacts(name: str) -> None:
    made = _file_name(name)
    assert os.path.normpath(f"/artifacts/{made}") == f"/artifacts/{made}"
    assert Path("/artifacts", made).parent == Path("/artifacts")
    assert not made.startswith(".")
    assert len(made.encode()) <= 255


@given(st.from_regex(SAFE_NAME, fullmatch=True))
def test_a_study_keeps_its_name_as_that_of_a_folder(name: str) -> None:
    assert _file_name(name) == name


@given(st.one_of(st.text(), WAYS_OUT))
@example("..")
@example("a\n")
@example("a/../b")
@example("é")
def test_a_safe_name_stays_in_its_folder(name: str) -> None:
    if SAFE_NAME.fullmatch(name):
        workspace = Workspace(Path("/work"))
        towers = workspace.towers(name)
        assert os.path.normpath(towers) == str(towers)
        assert towers.parent == workspace.studies
        assert name.isascii()
        assert len(f"{name}.db-journal") <= 255


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "-x", "a/b", "a\\b", "a b", "a\n", "a\0"])
def test_names_that_lead_elsewhere_are_not_safe(name: str) -> None:
    assert not SAFE_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["x.db", "x.toml", "x.DB", "x.db-wal", "x.db.old", "a.b.Toml"])
def test_the_folder_of_a_study_is_no_file_of_another(name: str) -> None:
    assert not SAFE_NAME.fullmatch(name)
