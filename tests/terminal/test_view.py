"""The live view in a real terminal, compared with captures of it that were looked at.

After a change that is meant, write the captures anew, and look at them:

    REWRITE_CAPTURES=1 pytest tests/terminal/test_view.py
"""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from search.config.addresses import PROJECT
from tests.terminal.tmux import Tmux

pytestmark = pytest.mark.terminal

CAPTURES = Path(__file__).parent / "captures"
COMMAND = [sys.executable, "-m", "tests.terminal.program"]
VIEW = 20
"""Lines of the view at 80x24."""

COLOR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")


def assert_as_captured(lines: list[str], name: str) -> None:
    """The lines are those of a file; written anew where that is asked for."""
    file = CAPTURES / f"{name}.txt"
    text = "\n".join(lines) + "\n"
    if "REWRITE_CAPTURES" in os.environ:
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def started(tmux: Tmux, columns: int, rows: int, **variables: str) -> list[str]:
    """The terminal once everything is shown in it."""
    tmux.start(COMMAND, columns, rows, folder=PROJECT, **variables)
    return tmux.settled(lambda lines: is_whole(lines) and "ready" in lines)


def is_whole(lines: list[str]) -> bool:
    """Whether the view is drawn to its end."""
    return bool(lines) and ("mlruns/mlflow.db" in lines[-1] or "4 more" in lines[-1])


def views(lines: list[str]) -> int:
    return sum(" of 50 trials" in line for line in lines)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_the_view_and_what_others_write(tmux: Tmux, columns: int, rows: int) -> None:
    assert_as_captured(started(tmux, columns, rows), f"view-{columns}x{rows}")
    assert COLOR.search("\n".join(tmux.screen(escapes=True)))


def test_the_end_fits_one_screen(tmux: Tmux) -> None:
    started(tmux, 80, 24)
    tmux.press("Enter")
    lines = tmux.wait_for(lambda lines: "[exit code 0]" in lines)
    assert_as_captured(lines, "summary-80x24")
    assert any(line.startswith("trial  ") for line in lines)


def test_windows_that_are_resized_show_one_view(tmux: Tmux) -> None:
    """All at once, as most of it is to wait until nothing changes any more."""
    sizes = [(60, 24), (41, 24), (120, 40), (100, 20)]
    with ExitStack() as stack, ThreadPoolExecutor() as threads:
        more = [stack.enter_context(Tmux()) for _ in sizes[1:]]
        list(threads.map(resized_and_back, [tmux, *more], sizes))


def resized_and_back(tmux: Tmux, size: tuple[int, int]) -> None:
    columns, rows = size
    before = started(tmux, 80, 24)
    tmux.resize(columns, rows)
    lines = tmux.settled(is_whole)
    assert views(lines) == 1
    assert max(map(len, lines)) <= columns
    assert_as_captured(lines, f"resized-{columns}x{rows}")
    tmux.resize(80, 24)
    after = tmux.settled(is_whole)
    assert views(after) == 1
    assert after[-VIEW:] == before[-VIEW:]


def test_no_color_is_no_color(tmux: Tmux) -> None:
    started(tmux, 80, 24, NO_COLOR="1")
    assert not COLOR.search("\n".join(tmux.screen(escapes=True)))


def test_a_pipe_gets_plain_lines() -> None:
    done = subprocess.run(COMMAND, cwd=PROJECT, input="\n", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    trials = [line for line in lines if line.startswith("trial ") and "  [" in line]
    assert [line.split()[1] for line in trials] == [str(number) for number in range(20)]
    assert "ready" in lines
    assert "W0000 00:00:00.000000 1 stray.cc:1] a line of native code" in done.stderr
