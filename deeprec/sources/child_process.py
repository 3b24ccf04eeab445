"""Running a program that fetches something, without ever waiting on it in the dark."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deeprec.errors import DataError

Announce = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait, in seconds.

    Attributes:
        stall: without a new byte, before the program is stopped.
        report: between two announcements of how far it is.
        poll: between two looks at it.
    """

    stall: float = 25.0
    report: float = 10.0
    poll: float = 0.2


def run_watched(
    command: Sequence[str],
    *,
    folder: Path,
    announce: Announce,
    environment: dict[str, str],
    patience: Patience = Patience(),
) -> None:
    """Runs a program that writes into a folder; it may take long, but not stand still.

    Args:
        command: the program and its arguments.
        folder: where it writes; the bytes in there are its progress.
        announce: told how far it is, while it runs.
        environment: the program's environment variables.
        patience: how long to wait for what.

    Raises:
        DataError: it made no progress for too long, or failed; with the last error it printed.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603  (the command is ours, and no shell reads it)
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        try:
            _watch(process, folder, announce, patience)
        finally:
            process.kill()  # does nothing to one that has ended
            process.wait()
        if process.returncode != 0:
            raise DataError(_last_error(log) or f"it failed with exit code {process.returncode}")


def _watch(
    process: subprocess.Popen[bytes], folder: Path, announce: Announce, patience: Patience
) -> None:
    largest, grown_at = 0, time.monotonic()
    reported_at = grown_at
    while process.poll() is None:
        time.sleep(patience.poll)
        now = time.monotonic()
        if (size := _bytes_in(folder)) > largest:
            largest, grown_at = size, now
        if now - grown_at > patience.stall:
            raise DataError(f"no progress for {patience.stall:.0f} s, so it was stopped")
        if now - reported_at > patience.report:
            announce(f"{largest / 1e6:.1f} MB so far")
            reported_at = now


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # temporary files come and go
            continue
    return total


def _last_error(log: IO[bytes]) -> str:
    """The last line that calls itself an error, or else the last line."""
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or [""])[-1]
