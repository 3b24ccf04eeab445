"""What a command shows in a pipe, when quiet, and in a terminal that is made for the test."""

import io
import os
import pty
import signal
import subprocess
import sys

import pytest
from rich.console import Console
from rich.text import Text

from search.config.addresses import PROJECT
from search.display.terminal import Area, Screen
from tests.unit.search.terminals import Pipe

PROGRAM = """
import os, signal, sys, time
from search.display.terminal import Screen
with Screen() as screen:
    screen.doing("thinking")
    time.sleep(0.3)
    os.write(1, b"stray one\\n")
    os.write(2, b"stray two\\n")
    screen.announce("announced")
    screen.warn("mind [this]")
    exec(sys.argv[1])
print("after")
"""


def in_terminal(then: str, **variables: str) -> tuple[int, str]:
    """The exit code, and what a terminal received: escape codes, and the lines among them."""
    terminal, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, then],
        cwd=PROJECT,
        env={**os.environ, "TERM": "xterm-256color", **variables},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    received = b""
    try:
        while piece := os.read(terminal, 4096):
            received += piece
    except OSError:  # no process has it open any more
        pass
    os.close(terminal)
    return child.wait(), received.decode()


def final_lines(received: str) -> list[str]:
    """The lines that were written once; drawn-over ones begin with their spinner."""
    plain = Text.from_ansi(received.replace("\r\n", "\n")).plain
    return [line.strip() for line in plain.splitlines() if line.strip()]


def test_in_a_pipe_there_are_plain_lines_and_no_status() -> None:
    pipe = Pipe(width=20)
    with pipe.screen as screen:
        screen.doing("never seen")
        screen.announce("announced, and longer than the pipe is wide [/red]")
        screen.warn("mind [this]")
        screen.show("result")
        with screen.showing("a view"):
            screen.announce("still plain")
    assert pipe.lines == [
        "announced, and longer than the pipe is wide [/red]",
        "warning: mind [this]",
        "result",
        "still plain",
    ]


def test_quiet_shows_results_and_on_standard_error_warnings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipe = Pipe(quiet=True)
    with pipe.screen as screen:
        screen.doing("never seen")
        screen.announce("never seen")
        screen.warn("[x]")
        screen.notice("stopping")
        screen.show("result")
    assert pipe.lines == ["result"]
    assert capsys.readouterr() == ("", "warning: [x]\nstopping\n")


def test_a_screen_that_was_not_entered_prints_plain_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen()
    screen.announce("announced")
    screen.abandon()
    assert capsys.readouterr().out == "announced\n"


def test_in_a_terminal_a_spinner_says_what_is_done_and_stray_lines_stay_whole() -> None:
    code, received = in_terminal(
        "for n in range(50): os.write(2, b'late %d\\n' % n)\n"
        "screen.show('result')\nscreen.print('[red]red')"
    )
    assert code == 0
    assert " thinking" in received
    assert "\x1b[31m" in received
    lines = final_lines(received)
    assert {"stray one", "stray two"} < set(lines)
    expected = ("announced", "warning: mind [this]", "result", "red", "after")
    assert [line for line in lines if line in expected] == list(expected)
    assert [line for line in lines if "late" in line] == [f"late {n}" for n in range(50)]
    assert not received.rpartition("\x1b[?25h")[2].count("announced"), "drawn after its end"


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("1 / 0", 1),
        ("sys.exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("screen.abandon(); os._exit(7)", 7),
    ],
)
def test_however_it_ends_the_cursor_comes_back(then: str, expected: int) -> None:
    code, received = in_terminal(then)
    assert code == expected
    hidden, shown = received.rfind("\x1b[?25l"), received.rfind("\x1b[?25h")
    assert -1 < hidden < shown


def test_an_error_is_read_below_the_lines() -> None:
    _, received = in_terminal("os.write(2, b'last words'); 1 / 0")
    lines = final_lines(received)
    assert lines.index("last words") < lines.index("Traceback (most recent call last):")
    assert lines[-1].startswith("ZeroDivisionError")


def test_a_crash_of_native_code_shows_where() -> None:
    code, received = in_terminal("os.abort()")
    assert code == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in received


def test_a_dumb_terminal_gets_plain_lines() -> None:
    _, received = in_terminal("screen.show('result')", TERM="dumb")
    assert "\x1b" not in received
    lines = [line.strip() for line in received.splitlines()]
    assert lines[:3] == ["stray one", "stray two", "announced"]
    assert lines[3:] == ["warning: mind [this]", "result", "after"]


def test_a_terminal_that_knows_ascii_and_no_colors_gets_nothing_else() -> None:
    then = "screen.show('caf\\xe9'); screen.print('[red]red')"
    _, received = in_terminal(then, PYTHONIOENCODING="ascii", NO_COLOR="1")
    assert received.isascii()
    assert "thinking" in received
    assert "caf?" in received
    assert "\x1b[3" not in received


class Paper:
    """A terminal whose output can be read, and which changes its width."""

    def __init__(self, width: int, height: int = 24) -> None:
        self._file = io.StringIO()
        self.console = Console(
            file=self._file, force_terminal=True, color_system=None, width=width, height=height
        )

    def drawn(self, area: Area) -> str:
        area.draw(self.console)
        return self._file.getvalue()

    def rows_erased(self, area: Area) -> int:
        """How many rows, seen by the codes that erase them."""
        before = self._file.tell()
        area.erase(self.console)
        return self._file.getvalue()[before:].count("\x1b[2K")


def test_an_area_is_erased_with_all_rows_that_its_lines_have_become() -> None:
    paper, area = Paper(80), Area(Text(f"{'x' * 80}\n\n{'x' * 40}   \n{'x' * 41}"))
    paper.drawn(area)
    paper.console.width = 40
    assert paper.rows_erased(area) == 2 + 1 + 1 + 2
    assert paper.rows_erased(area) == 0, "it is erased once"


def test_an_area_is_lower_than_the_terminal_and_leaves_spaces_out() -> None:
    area = Area(Text("\n".join(f"{number}  " for number in range(30))))
    assert Paper(80, height=5).drawn(area) == "0\n1\n2\n3"
