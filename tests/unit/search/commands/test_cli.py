"""How a command ends: its exit code, and one line for what was wrong."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
import typer

from search.commands.cli import StorageOption, TrackingUriOption, run_command
from search.config.addresses import VARIABLES
from search.records.errors import InputError

Ended = tuple[int, str, str]
Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command with arguments: the exit code, and what was printed where."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # Typer sets one, and leaves it there

    def run(command: Callable[..., int | None], *arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        with pytest.raises(SystemExit) as caught:
            run_command(command)
        assert isinstance(caught.value.code, int)
        return (caught.value.code, *capsys.readouterr())

    return run


def count(trials: Annotated[int, typer.Option(min=1, help="How many trials.")] = 3) -> int:
    """Counts trials."""
    sys.stdout.write(f"{trials} trials\n")
    return 0


def test_a_command_gets_its_options_and_decides_its_exit_code(run: Run) -> None:
    for result, code in ((None, 0), (0, 0), (1, 1), (130, 130)):
        assert run(lambda result=result: result) == (code, "", "")
    assert run(count, "--trials", "7") == (0, "7 trials\n", "")


def test_help_describes_the_command_and_its_options(run: Run) -> None:
    code, out, err = run(count, "--help")
    assert (code, err) == (0, "")
    for words in ("Counts trials.", "--trials", "How many trials.", "default: 3"):
        assert words in out
    assert "--install-completion" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trails", "7"], "error: No such option: --trails"),
        (["--trials", "many"], "error: Invalid value for '--trials': "),
        (["--trials", "0"], "error: Invalid value for '--trials': "),
        (["--trials"], "error: Option '--trials' requires an argument"),
        (["seven"], "error: Got unexpected extra argument"),
        (["http://me:secret@h"], "error: Got unexpected extra argument(s) (http://***@h)"),
    ],
)
def test_what_is_not_understood_is_one_line(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run(count, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(message)


def test_what_a_command_writes_is_private(run: Run, tmp_path: Path) -> None:
    def write() -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").touch()

    os.umask(0o222)
    assert run(write) == (0, "", "")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"folder": 0o500, "file": 0o400}


def of_system(code: int) -> tuple[OSError, int, str]:
    said = f"error: {os.strerror(code)}: x.lock"
    return OSError(code, os.strerror(code), "x.lock"), 1, said


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        *map(of_system, (errno.ENOSPC, errno.EACCES, errno.EROFS)),
        (InputError("unknown;\n  known are y"), 2, "error: unknown; known are y"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_end_is_one_line(run: Run, error: BaseException, code: int, said: str) -> None:
    def end() -> None:
        raise error

    assert run(end) == (code, "", f"{said}\n")


A, C = "sqlite:///a.db", "sqlite:///c.db"


def stored(storage: StorageOption = None, tracking_uri: TrackingUriOption = None) -> int:
    sys.stdout.write(f"{storage} {tracking_uri}\n")
    return 0


@pytest.mark.parametrize(
    ("variables", "arguments", "said"),
    [
        ({}, [], "None None"),
        ({"DEEPREC_STORAGE": A, "MLFLOW_TRACKING_URI": "b"}, [], f"{A} b"),
        ({"DEEPREC_STORAGE": A, "MLFLOW_TRACKING_URI": "b"}, ["--storage", C], f"{C} b"),
        ({"MLFLOW_TRACKING_URI": "b"}, ["--tracking-uri", "c"], "None c"),
        ({"DEEPREC_STORAGE": "", "MLFLOW_TRACKING_URI": ""}, [], "None None"),
        ({"DEEPREC_STORAGE": "postgresql://me:hidden@host:port/x"}, [], "a port from 1 to 65535"),
        (dict.fromkeys(VARIABLES.values(), "hidden"), ["--help"], "DEEPREC_STORAGE"),
    ],
)
def test_variables_stand_for_flags_that_are_not_given(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    arguments: list[str],
    said: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, out, err = run(stored, *arguments)
    assert code == (2 if err else 0)
    assert said in out + err
    assert "hidden" not in out + err


def test_an_error_of_ours_is_not_hidden(run: Run) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(broken)
