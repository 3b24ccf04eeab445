"""Claiming a trial: one worker at a time decides what runs next.

A claim is held from before the trials are counted until the claimed trial is RUNNING with all of
its parameters. So no two workers count the same trials, run the same enqueued configuration, or
ask the sampler about the same state; the budget is met exactly.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import optuna
from filelock import FileLock, Timeout

WORKER = "worker"
"""Attribute of a trial that one of several workers runs: the worker's process id."""

StopReason = Callable[[], str | None]

_LOOK_UP_SECONDS = 0.5
_POLL_SECONDS = 0.005  # a claim takes a few hundredths of a second


def within(seconds: float) -> StopReason:
    """A reason to stop that comes up after that time."""
    deadline = time.monotonic() + seconds
    return lambda: None if time.monotonic() < deadline else f"{seconds:g} s are over"


class Claim(Protocol):
    """The right to decide what runs next."""

    def take(self, stop_reason: StopReason) -> bool:
        """Waits for the right; returns False once there is a reason to stop."""

    def settle(self, trial: optuna.Trial) -> None:
        """Gives it up: the trial is RUNNING and has its parameters."""

    def release(self) -> None:
        """Gives it up, whatever became of it; does nothing if that was done before."""


class Unshared:
    """The claim of a search that has its study to itself."""

    def take(self, stop_reason: StopReason) -> bool:
        """It is always there."""
        return True

    def settle(self, trial: optuna.Trial) -> None:
        """Nobody waits for it."""

    def release(self) -> None:
        """Nobody waits for it."""


ALONE = Unshared()


class SharedClaim:
    """The claim of several workers on one machine: a lock file beside the study.

    The operating system frees the lock of a process that dies.

    Args:
        folder: where the lock file is, usually ``studies``.
        study_name: of the study.

    Attributes:
        path: of the lock file.
    """

    def __init__(self, folder: Path, study_name: str) -> None:
        self.path = folder / f"{study_name}.claim.lock"
        self._lock = FileLock(self.path)

    def take(self, stop_reason: StopReason) -> bool:
        """Waits for the right; returns False once there is a reason to stop."""
        while stop_reason() is None:
            try:
                self._lock.acquire(timeout=_LOOK_UP_SECONDS, poll_interval=_POLL_SECONDS)
            except Timeout:
                continue
            return True
        return False

    def settle(self, trial: optuna.Trial) -> None:
        """Notes who runs the trial, then lets the next worker decide.

        So a RUNNING trial that names no living worker, seen while the claim is held, is left
        over from a dead one.
        """
        trial.set_user_attr(WORKER, os.getpid())
        self.release()

    def release(self) -> None:
        """Gives the right up; does nothing if that was done before."""
        if self._lock.is_locked:
            self._lock.release()
