"""Output that cannot be written ends nothing; what others write is caught line by line."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from search.config.addresses import PROJECT
from search.display.console import Capture, Output, text_to

CLOSED = """
import os, sys
from search.display.console import keep_writable
keep_writable()
with open("a database") as file:
    assert file.fileno() > 2
print("to nowhere", flush=True)
print("to nowhere", file=sys.stderr)
"""

COMMAND = """
from search.commands.cli import run_command
def main():
    print("Les Mis\\u00e9rables")
run_command(main, is_for_output={})
"""


def ended(program: str, redirection: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A program that a shell has started with its output led elsewhere."""
    return subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def closed_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def closed_terminal() -> int:
    controlling, terminal = pty.openpty()
    os.close(controlling)
    return terminal


def full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize(
    ("place", "is_incomplete"), [(closed_pipe, False), (closed_terminal, False), (full_disk, True)]
)
def test_what_cannot_be_written_is_dropped(place: Callable[[], int], is_incomplete: bool) -> None:
    descriptor = place()
    output = Output(descriptor)
    stream = text_to(output, None)
    for _ in range(3):
        stream.write("a line\n")
        stream.flush()
    assert output.lost is not None
    assert output.is_incomplete == is_incomplete
    assert os.write(descriptor, b"by others") == 9
    os.close(descriptor)


def test_what_can_be_written_is_and_letters_that_are_missing_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w", encoding="ascii") as like:
        output = Output(like.fileno())
        stream = text_to(output, like)
        stream.write("Les Misérables\n")
        stream.flush()
    assert path.read_text("ascii") == "Les Mis?rables\n"
    assert output.lost is None


def test_no_file_takes_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    (tmp_path / "a database").write_text("whole")
    done = ended(CLOSED, "<&- >&- 2>&-", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "a database").read_text() == "whole"


@pytest.mark.parametrize(
    ("is_for_output", "redirection", "exit_code", "stdout", "stderr"),
    [
        (True, "", 0, "Les Mis?rables\n", ""),
        (True, ">/dev/full", 1, "", "error: the output cannot be written: [Errno 28] No space"),
        (False, ">/dev/full", 0, "", ""),
        (True, "| true; exit ${PIPESTATUS[0]}", 0, "", ""),
    ],
)
def test_only_a_command_that_is_for_its_output_fails_without_it(
    tmp_path: Path, is_for_output: bool, redirection: str, exit_code: int, stdout: str, stderr: str
) -> None:
    done = ended(COMMAND.format(is_for_output), redirection, tmp_path)
    assert (done.returncode, done.stdout) == (exit_code, stdout), done.stderr
    assert done.stderr.startswith(stderr)
    assert bool(done.stderr) == bool(stderr)


@pytest.fixture
def descriptor(tmp_path: Path) -> int:
    """One that leads to a file, in the place of 1 or 2."""
    return os.open(tmp_path / "where it led", os.O_RDWR | os.O_CREAT)


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"one\ntw", b"o\n\n  \nthree"], ["one", "two", "three"]),
        ([b"10%\r50%\r100%\n"], ["100%"]),
        ([b"10%\r", b"50%\r", b"100%\r", b"\n"], ["100%"]),
        ([b"\r10%", b"\r100%"], ["100%"]),
        ([b"windows\r\nlines\r\n"], ["windows", "lines"]),
        ([b"50%\r", b"then words\n"], ["then words"]),
        ([b"caf\xe9\n"], ["caf\ufffd"]),
        ([b"caught\n"] * 5000, ["caught"] * 5000),
        ([b" 10%\r" * 50_000, b"100%\r", b"\n"], ["100%"]),
        ([b"x" * 100_000], ["x" * 100_000]),
    ],
)
def test_lines_are_passed_on_whole_and_a_progress_bar_as_it_was_at_last(
    descriptor: int, pieces: list[bytes], lines: list[str]
) -> None:
    caught: list[str] = []
    with Capture(caught.append, [descriptor]):
        for piece in pieces:
            os.write(descriptor, piece)
    assert caught == lines


def test_the_descriptor_leads_back_after_an_error_and_none_stays_open(descriptor: int) -> None:
    caught: list[str] = []

    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def write_and_stop() -> None:
        with Capture(caught.append, [descriptor]):
            os.write(descriptor, b"caught")
            raise KeyboardInterrupt

    before = count()
    os.write(descriptor, b"before\n")
    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    os.write(descriptor, b"after\n")
    assert caught == ["caught"]
    assert os.pread(descriptor, 100, 0) == b"before\nafter\n"
    assert count() == before


def test_other_processes_are_caught_and_one_that_lives_on_delays_nothing(descriptor: int) -> None:
    caught: list[str] = []
    with Capture(caught.append, [descriptor]):
        child = subprocess.Popen(
            ["sh", "-c", "echo from a child; exec sleep 60"], stdout=descriptor
        )
        while not caught:
            pass
    child.kill()
    child.wait()
    assert caught == ["from a child"]
