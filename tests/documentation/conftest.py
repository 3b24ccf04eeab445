"""Folders like a fresh clone, in which commands of the documentation run on little data."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from search.config.addresses import PROJECT

TOO_LONG_S = 900


class Clone:
    """A copy of what git tracks, with the environment of this Python in ``.venv``."""

    def __init__(self, path: Path, cache_home: Path) -> None:
        self.path = path
        self.variables = {
            **os.environ,
            "XDG_CACHE_HOME": str(cache_home),
            "PYTHONPATH": str(path),
            "PATH": f"{path / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }

    def run(self, line: str, program: str = "bash") -> subprocess.CompletedProcess[str]:
        """Runs a line of shell, or of Python; what it exports holds for the lines after it."""
        if found := re.fullmatch(r"export (\w+)=(\S*)", line):
            self.variables[found[1]] = found[2]
        return subprocess.run(
            [shutil.which(program, path=self.variables["PATH"]) or program, "-c", line],
            cwd=self.path,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TOO_LONG_S,
        )

    def copy(self, path: Path) -> "Clone":
        """Another clone with all that this one has written."""
        shutil.copytree(self.path, path, symlinks=True)
        return Clone(path, Path(self.variables["XDG_CACHE_HOME"]))


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory, small_cache_home: Path) -> Clone:
    """A clone in which nothing has been done yet: the files that git knows or does not ignore."""
    listed = ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others"]
    done = subprocess.run([*listed, "--exclude-standard"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("the project is not a git checkout")
    path = tmp_path_factory.mktemp("fresh")
    for name in filter(None, done.stdout.split("\0")):
        source, target = PROJECT / name, path / name
        if source.is_file() and not name.startswith(".venv"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    venv = path / ".venv"  # make takes it for finished: nothing is installed into the real one
    venv.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if entry.name != ".installed":
            (venv / entry.name).symlink_to(entry)
    (venv / ".installed").touch()
    return Clone(path, small_cache_home)


@pytest.fixture(scope="session")
def confirmed(fresh: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone whose study has been searched and confirmed, with as little work as that takes."""
    clone = fresh.copy(tmp_path_factory.mktemp("confirmed") / "clone")
    for command in (
        "python -m search.run --study tutorial --trials 4 --quiet",
        "python -m search.retrain --study tutorial --top 1 --seeds 1 --promote --quiet",
    ):
        done = clone.run(command)
        assert done.returncode == 0, done.stdout
    return clone


@pytest.fixture
def clone_for(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], Clone]:
    """Makes a clone for a page, in the state that the page starts from."""
    return lambda state: request.getfixturevalue(state).copy(tmp_path / "clone")
