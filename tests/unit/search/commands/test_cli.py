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


@pytest.fixture(autouse=True)
def _own_excepthook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # Typer sets one, and leaves it there


@pytest.fixture
def exit_code(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command with arguments, and returns the code with which the process would end."""

    def run(command: Callable[..., int | None], *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        with pytest.raises(SystemExit) as caught:
            run_command(command)
        assert isinstance(caught.value.code, int)
        return caught.value.code

    return run


def count(
    trials: Annotated[int, typer.Option(min=1, help="How many trials.")] = 3,
) -> int:
    """Counts trials."""
    sys.stdout.write(f"{trials} trials\n")
    return 0


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (1, 1), (130, 130)])
def test_a_command_decides_its_end(
    exit_code: Callable[..., int], result: int | None, code: int
) -> None:
    assert exit_code(lambda: result) == code


def test_options_are_given(
    exit_code: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(count, "--trials", "7") == 0
    assert capsys.readouterr() == ("7 trials\n", "")


def test_help_describes_the_command_and_its_options(
    exit_code: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(count, "--help") == 0
    out, err = capsys.readouterr()
    for words in ("Counts trials.", "--trials", "How many trials.", "default: 3"):
        assert words in out
    assert "--install-completion" not in out
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trails", "7"], "error: No such option: --trails"),
        (["--trials", "many"], "error: Invalid value for '--trials': "),
        (["--trials", "0"], "error: Invalid value for '--trials': "),
        (["--trials"], "error: Option '--trials' requires an argument"),
        (["seven"], "error: Got unexpected extra argument"),
    ],
)
def test_a_command_line_that_cannot_be_understood_is_answered_in_one_line(
    exit_code: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert exit_code(count, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_an_argument_with_a_password_is_not_repeated(
    exit_code: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(count, "postgresql://me:secret@host/name") == 2
    assert "(postgresql://***@host/name)" in capsys.readouterr().err


def test_what_a_command_writes_is_private(exit_code: Callable[..., int], tmp_path: Path) -> None:
    def write() -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").touch()

    os.umask(0o222)
    assert exit_code(write) == 0
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"folder": 0o500, "file": 0o400}


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        *(
            (OSError(code, os.strerror(code), "x.lock"), 1, f"error: {os.strerror(code)}: x.lock")
            for code in (errno.ENOSPC, errno.EACCES, errno.EROFS)
        ),
        (InputError("unknown;\n  known are y"), 2, "error: unknown; known are y"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_ends_a_command_is_one_line(
    exit_code: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    def end() -> None:
        raise error

    assert exit_code(end) == code
    assert capsys.readouterr() == ("", f"{said}\n")


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
    ],
)
def test_variables_stand_for_flags_that_are_not_given(
    exit_code: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    arguments: list[str],
    said: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert exit_code(stored, *arguments) == 0
    assert capsys.readouterr().out == f"{said}\n"


def test_a_variable_is_checked_as_the_flag_is(
    exit_code: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEEPREC_STORAGE", "postgresql://user:hidden@host:port/name")
    assert exit_code(stored) == 2
    said = capsys.readouterr().err
    assert "a port from 1 to 65535" in said
    assert "hidden" not in said


def test_help_does_not_show_the_values_of_variables(
    exit_code: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in VARIABLES.values():
        monkeypatch.setenv(name, "hidden-value")
    assert exit_code(stored, "--help") == 0
    out = capsys.readouterr().out
    assert "DEEPREC_STORAGE" in out
    assert "hidden" not in out


def test_an_error_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run_command(broken)
