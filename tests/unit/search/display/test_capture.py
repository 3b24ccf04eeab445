"""What others write to file descriptors, caught line by line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.display.console import Capture, Lines


@pytest.fixture
def descriptor(tmp_path: Path) -> int:
    """One that leads to a file, in the place of 1 or 2."""
    return os.open(tmp_path / "where it led", os.O_RDWR | os.O_CREAT)


def fed(*pieces: bytes) -> list[str]:
    told: list[str] = []
    lines = Lines(told.append)
    for piece in pieces:
        lines.feed(piece)
    lines.end()
    return told


def test_lines_are_told_whole() -> None:
    told: list[str] = []
    lines = Lines(told.append)
    lines.feed(b"one\ntw")
    assert told == ["one"]
    lines.feed(b"o\n\n  \nthree")
    assert told == ["one", "two"]
    lines.end()
    assert told == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ([b"10%\r50%\r100%\n"], ["100%"]),
        ([b"10%\r", b"50%\r", b"100%\r", b"\n"], ["100%"]),
        ([b"\r10%", b"\r100%"], ["100%"]),
        ([b"windows\r\nlines\r\n"], ["windows", "lines"]),
        ([b"50%\r", b"then words\n"], ["then words"]),
    ],
)
def test_a_progress_bar_is_told_as_it_was_at_last(pieces: list[bytes], told: list[str]) -> None:
    assert fed(*pieces) == told


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_how_the_bytes_are_cut_makes_no_difference(pieces: list[bytes]) -> None:
    assert fed(*pieces) == fed(b"".join(pieces))


def test_bytes_that_are_no_text_are_shown_somehow() -> None:
    assert fed(b"caf\xe9\n") == ["caf\ufffd"]


def test_everything_is_told_and_the_descriptor_leads_back(descriptor: int) -> None:
    told: list[str] = []
    os.write(descriptor, b"before\n")
    with Capture(told.append, [descriptor]):
        os.write(descriptor, b"caught\n" * 5000)
        os.write(descriptor, b"unfinished")
    os.write(descriptor, b"after\n")
    assert told == ["caught"] * 5000 + ["unfinished"]
    assert os.pread(descriptor, 100, 0) == b"before\nafter\n"


def test_it_leads_back_after_an_error_too(descriptor: int) -> None:
    told: list[str] = []

    def write_and_stop() -> None:
        with Capture(told.append, [descriptor]):
            os.write(descriptor, b"caught")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    os.write(descriptor, b"after\n")
    assert told == ["caught"]
    assert os.pread(descriptor, 100, 0) == b"after\n"


def test_no_descriptor_is_left_open(descriptor: int) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    with Capture(lambda _line: None, [descriptor]):
        assert count() > before
    assert count() == before


def test_other_processes_are_caught_and_one_that_lives_on_keeps_nobody(descriptor: int) -> None:
    told: list[str] = []
    program = "import os, time; os.write(1, b'from a child\\n'); time.sleep(60)"
    with Capture(told.append, [descriptor]):
        child = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.DEVNULL, stdout=descriptor
        )
        while not told:
            pass
    child.kill()
    child.wait()
    assert told == ["from a child"]
