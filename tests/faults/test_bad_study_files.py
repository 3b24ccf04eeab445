"""Bad study files as a command meets them: one line, exit code 2, nothing written.

What is wrong with a file is tested on what reads it: tests/unit/search/config.
"""

import os
from pathlib import Path

import pytest

from search import run
from tests.faults.in_process import refused

pytestmark = [pytest.mark.data, pytest.mark.faults]


def test_a_bad_file(folder: Path) -> None:
    path = folder / "studies" / "bad.toml"
    path.write_text("[study]\ntrials = 0\n[space]\ndepth = { low = 4, high = 1 }")
    try:
        refused(run.main, folder, "--study", str(path), message="bad.toml: study.trials must be")
    finally:
        path.unlink()


def test_a_pipe_in_the_place_of_a_file(folder: Path) -> None:
    path = folder / "studies" / "bad.toml"
    os.mkfifo(path)
    try:
        refused(run.main, folder, "--study", "bad", message="must be a file but is not")
    finally:
        path.unlink()
