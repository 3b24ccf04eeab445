"""Where a search reads and writes."""

import os
import tomllib
from pathlib import Path

import pytest

from search.config.study import load_spec
from search.config.workspace import PACKAGE, PROJECT, Workspace
from search.records.errors import InputError


def test_everything_lies_under_the_folder(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert workspace.studies == tmp_path / "studies"
    assert workspace.mlruns == tmp_path / "mlruns"
    assert workspace.towers("tiny") == tmp_path / "studies" / "tiny"


def test_studies_of_the_folder_come_before_those_of_the_project(tmp_path: Path) -> None:
    assert Workspace(tmp_path).study_files == (tmp_path / "studies", PROJECT / "studies")


def test_in_the_project_itself_its_studies_are_listed_once() -> None:
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


@pytest.mark.parametrize("name", ["studies", "mlruns"])
def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("not a folder")
    with pytest.raises(InputError, match=f"{name} must be a folder that can be written but .* is"):
        Workspace(tmp_path).check_writable()


def test_a_file_on_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match=r"file is not; start the search in a folder of your own"):
        Workspace(tmp_path / "file" / "below").check_writable()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="studies must be a folder that can be written"):
        Workspace(tmp_path).check_writable()
