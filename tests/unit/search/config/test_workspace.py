"""Where a search reads and writes: no name leads out of its folder."""

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search.config.addresses import PACKAGE, PROJECT, Workspace
from search.config.reading import load_spec
from search.config.sections import SAFE_NAME
from search.records.errors import InputError
from search.tracking.store import _file_name


def test_everything_lies_under_the_folder_and_comes_before_the_project(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert workspace.studies == tmp_path / "studies"
    assert workspace.mlruns == tmp_path / "mlruns"
    assert workspace.towers("tiny") == tmp_path / "studies" / "tiny"
    assert Workspace(tmp_path).study_files == (tmp_path / "studies", PROJECT / "studies")
    assert Workspace(PROJECT).study_files == (PROJECT / "studies",)


@pytest.mark.parametrize("name", ["tutorial", "ranking"])
def test_the_package_holds_the_studies_of_the_repository(name: str, tmp_path: Path) -> None:
    """Those of the repository are the ones of a wheel: no copy could differ from them."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    [pattern] = settings["tool"]["setuptools"]["package-data"]["search"]
    packaged = {path.resolve() for path in PACKAGE.glob(pattern)}
    assert packaged == set((PROJECT / "studies").glob("*.toml"))
    assert load_spec(name, folders=Workspace(tmp_path).study_files).name == name


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    Workspace(tmp_path).check_writable()
    Workspace(tmp_path / "not" / "there" / "yet").check_writable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "below"), [("studies", ""), ("mlruns", ""), ("file", "file/x")])
def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path, name: str, below: str) -> None:
    (tmp_path / name).write_text("not a folder")
    with pytest.raises(InputError, match=f"must be a folder that can be written but .*/{name} is"):
        Workspace(tmp_path / below).check_writable()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="studies must be a folder that can be written"):
        Workspace(tmp_path).check_writable()


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


LEADS_ELSEWHERE = ["..", ".", ".hidden", "-x", "a/b", "a\\b", "a b", "a\n", "a\0"]
IS_A_FILE_OF_ANOTHER = ["x.db", "x.toml", "x.DB", "x.db-wal", "x.db.old", "a.b.Toml"]


@pytest.mark.parametrize("name", [*LEADS_ELSEWHERE, *IS_A_FILE_OF_ANOTHER])
def test_what_is_no_safe_name(name: str) -> None:
    assert not SAFE_NAME.fullmatch(name)
