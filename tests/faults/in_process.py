"""Commands in this process: as the command line runs them, without a second for each to start."""

import os
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from hypothesis import strategies as st

from search import recommend, reproduce, retrain, run, sync
from search.commands.cli import run_command

Command = Callable[..., int | None]


@dataclass(frozen=True)
class Answer:
    code: object
    out: str
    err: str


def answer(command: Command, folder: Path, *arguments: str) -> Answer:
    out, err = StringIO(), StringIO()
    code: object = None
    with (
        chdir(folder),
        patch.dict(os.environ),
        patch.object(sys, "argv", ["command", *arguments]),
        patch.object(sys, "excepthook", sys.excepthook),  # Typer sets one, and leaves it there
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            run_command(command)
        except SystemExit as ended:
            code = ended.code
    return Answer(code, out.getvalue(), err.getvalue())


def refused(command: Command, folder: Path, *arguments: str, message: str = "") -> None:
    """Asserts that a command refuses its arguments: in one line, with code 2, nothing written."""
    before = snapshot(folder)
    given = answer(command, folder, *arguments)
    assert given.code == 2, given
    assert given.out == ""
    assert given.err.startswith("error: ")
    assert given.err.endswith("\n")
    line = given.err[:-1]
    assert line.isprintable(), repr(line)
    assert len(line) < 3000, "what was given is not repeated whole"
    assert message in line
    assert snapshot(folder) == before, "something was written"


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder; None for what is no file."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


COMMANDS: dict[str, Command] = {
    "run": run.main,
    "retrain": retrain.main,
    "sync": sync.main,
    "recommend": recommend.main,
    "reproduce": reproduce.main,
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
