"""A real terminal: a tmux server of its own, whose pane can be read and resized."""

import os
import shlex
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

PATIENCE_SECONDS = 240.0
"""A busy machine may take long to import what a search needs."""


class Tmux:
    """A tmux server, which ends with it."""

    def __init__(self) -> None:
        self._socket = f"deeprec-tests-{uuid.uuid4().hex}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._run("kill-server", check=False)

    def start(
        self, command: Sequence[str], columns: int, rows: int, *, folder: Path, **variables: str
    ) -> None:
        """Runs a command in a pane of that size; its output stays there when it has ended."""
        size = ("-x", str(columns), "-y", str(rows), "-c", str(folder))
        # The shell lives on, so that the pane does; TERM is tmux's own there.
        shell = f'{shlex.join(command)}; echo "[exit code $?]"; exec cat'
        environment = {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **variables}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            if name not in variables:
                environment.pop(name, None)
        self._run("-u", "new-session", "-d", *size, shell, environment=environment)

    def screen(self, *, escapes: bool = False) -> list[str]:
        """The lines of the pane, spaces at their ends and empty lines at its end removed."""
        options = ("-e",) if escapes else ()
        text = self._run("capture-pane", "-p", *options)
        lines = [line.rstrip() for line in text.splitlines()]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def wait_for(self, is_there: Callable[[list[str]], bool]) -> list[str]:
        """The lines of the pane, once they are as they should be."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_there(lines := self.screen()):
            assert time.monotonic() < deadline, "\n".join(lines)
            time.sleep(0.1)
        return lines

    def settled(self, is_there: Callable[[list[str]], bool]) -> list[str]:
        """The same, once they have not changed for a while: nothing is half drawn."""
        while True:
            lines = self.wait_for(is_there)
            time.sleep(1.0)
            if self.screen() == lines:
                return lines

    def resize(self, columns: int, rows: int) -> None:
        """Makes the window larger or smaller."""
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def press(self, *keys: str) -> None:
        """Presses keys, by tmux's names of them."""
        self._run("send-keys", *keys)

    def _run(
        self, *arguments: str, check: bool = True, environment: dict[str, str] | None = None
    ) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout
