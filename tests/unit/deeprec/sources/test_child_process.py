"""A program that fetches something is waited for while it gets on, and no longer."""

import os
import sys
import time
from pathlib import Path

import pytest

from deeprec.errors import DataError
from deeprec.sources.child_process import Patience, run_watched

QUICK = Patience(stall=0.5, report=0.2, poll=0.02)


def run(program: str, folder: Path, patience: Patience = QUICK) -> list[str]:
    lines: list[str] = []
    run_watched(
        [sys.executable, "-c", program, str(folder)],
        folder=folder,
        announce=lines.append,
        environment=dict(os.environ),
        patience=patience,
    )
    return lines


def test_what_it_writes_is_there_afterwards(tmp_path: Path) -> None:
    run("import sys; open(sys.argv[1] + '/file', 'w').write('whole')", tmp_path, Patience())
    assert (tmp_path / "file").read_text() == "whole"


def test_it_is_stopped_when_it_stands_still(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(DataError, match=r"no progress for .* so it was stopped"):
        run("import time; time.sleep(60)", tmp_path)
    assert time.monotonic() - began < 10


def test_it_may_take_long_while_it_gets_on(tmp_path: Path) -> None:
    program = """if True:
        import sys, time
        with open(sys.argv[1] + "/file", "wb", buffering=0) as file:
            for _ in range(20):
                file.write(bytes(100_000))
                time.sleep(0.1)
    """
    lines = run(program, tmp_path, Patience(stall=1.5, report=0.5, poll=0.02))
    assert lines
    assert all(line.endswith(" MB so far") for line in lines)


def test_its_last_error_is_the_reason(tmp_path: Path) -> None:
    program = "print('ERROR: no such thing'); print('a hint'); raise SystemExit(1)"
    with pytest.raises(DataError, match=r"^no such thing$"):
        run(program, tmp_path, Patience())


def test_its_last_line_is_the_reason_where_it_names_no_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^ValueError: too bad$"):
        run("raise ValueError('too bad')", tmp_path, Patience())


def test_its_exit_code_is_the_reason_where_it_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^it failed with exit code 3$"):
        run("raise SystemExit(3)", tmp_path, Patience())
