"""What a result came from: commit and versions."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from search.execution import machine as provenance
from search.execution.machine import computed_on, git_commit, library_versions


class Repository:
    """A git repository with one committed file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "model.py"
        self.git("init", "--quiet")
        self.file.write_text("depth = 1\n")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "first")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        command = ["git", *identity, "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the project's, and no repository above it."""
    monkeypatch.setattr(provenance, "PROJECT", tmp_path)
    monkeypatch.setattr(provenance, "THIS", tmp_path / "model.py")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def test_the_commit_is_the_checked_out_one(project: Path) -> None:
    assert git_commit() is None, "there is no repository yet"
    repository = Repository(project)
    assert git_commit() == repository.git("rev-parse", "HEAD")


def test_changed_files_make_it_dirty_and_new_ones_do_not(project: Path) -> None:
    repository = Repository(project)
    commit = repository.git("rev-parse", "HEAD")
    (project / "notes.txt").write_text("not part of the commit")
    assert git_commit() == commit
    repository.file.write_text("depth = 2\n")
    assert git_commit() == f"{commit}-dirty"


def test_a_repository_around_the_environment_is_another_projects(project: Path) -> None:
    repository = Repository(project)
    repository.git("rm", "--quiet", "--cached", "model.py")
    repository.git("commit", "--quiet", "--message", "it lies there, but is not tracked")
    assert git_commit() is None


def test_changes_beside_the_project_do_not_make_it_dirty(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = project / "vendored"
    part.mkdir()
    (part / "model.py").write_text("depth = 1\n")
    repository = Repository(project)  # commits both
    monkeypatch.setattr(provenance, "PROJECT", part)
    monkeypatch.setattr(provenance, "THIS", part / "model.py")
    repository.file.write_text("depth = 2\n")
    assert git_commit() == repository.git("rev-parse", "HEAD")


def test_a_hook_of_another_repository_does_not_mislead(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Repository(project).git("rev-parse", "HEAD")
    other = tmp_path_factory.mktemp("other")
    Repository(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert git_commit() == commit


def test_without_a_commit_there_is_none(project: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(project)], check=True)
    assert git_commit() is None


def test_without_git_there_is_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Repository(project)
    monkeypatch.setenv("PATH", str(project))
    assert git_commit() is None


def test_versions_are_those_installed() -> None:
    versions = library_versions()
    assert {"optuna", "mlflow", "keras", "jax", "numpy"} <= versions.keys()
    assert versions["keras"] == version("keras")


def test_a_library_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "LIBRARIES", ("numpy", "no-such-library"))
    assert library_versions() == {"numpy": version("numpy")}


def test_what_decides_how_sums_are_rounded_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nmodel name : Some CPU @ 2 GHz\nmodel name : other\n")
    monkeypatch.setattr(provenance, "CPUINFO", cpuinfo)
    monkeypatch.setenv("NPROC", "3")
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setenv("JAX_DEFAULT_MATMUL_PRECISION", "highest")
    expected = {"device": "Some CPU @ 2 GHz", "threads": "3", "matmul_precision": "highest"}
    assert computed_on() == expected
    monkeypatch.setattr(provenance, "CPUINFO", tmp_path / "missing")
    assert computed_on()["device"] == platform.machine()
