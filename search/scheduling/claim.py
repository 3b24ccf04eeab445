"""Claiming a trial: one worker at a time decides what runs next.

A claim is held from before the trials are counted until the claimed trial is RUNNING with all of
its parameters. So no two workers count the same trials, run the same enqueued configuration, or
ask the sampler about the same state; the budget is met exactly.
"""

import socket
import uuid
from collections.abc import Callable

import optuna

from search.scheduling.locks import StopReason, StudyLock, within
from search.storage.attributes import WORKER

UNUSUAL_SECONDS = 60.0
"""Waiting for longer than this is worth a warning."""


class ClaimLostError(Exception):
    """The claim was taken from a worker that stood still: what it decided does not count."""


def worker_name(pid: int) -> str:
    """A name that no other worker has: its machine, its process id, and random digits."""
    return f"{socket.gethostname()}/{pid}/{uuid.uuid4().hex[:8]}"


class Claim:
    """The right of one worker to decide what runs next.

    Args:
        lock: of the study, for this worker.
        worker: its name.
        warn: told in a line when another worker holds the claim for unusually long.
    """

    def __init__(
        self, lock: StudyLock, worker: str, *, warn: Callable[[str], None] = lambda _line: None
    ) -> None:
        self.worker = worker
        self._lock = lock
        self._warn = warn

    def take(self, stop_reason: StopReason) -> bool:
        """Waits for the right; returns False once there is a reason to stop."""
        unusual = within(UNUSUAL_SECONDS)
        if self._lock.take(lambda: stop_reason() or unusual()):
            return True
        if stop_reason() is None:
            self._warn(
                f"another process has held {self._lock.name} for {UNUSUAL_SECONDS:g} s; "
                "if it was stopped, let it go on or end it"
            )
        return self._lock.take(stop_reason)

    def settle(self, trial: optuna.Trial) -> None:
        """Notes who runs the trial, then lets the next worker decide.

        So a RUNNING trial that names no worker, seen while the claim is held, is left over from a
        dead one.

        Raises:
            ClaimLostError: somebody else may have decided meanwhile.
        """
        trial.set_user_attr(WORKER, self.worker)
        if not self._lock.is_held():
            raise ClaimLostError(f"worker {self.worker} lost its claim to trial {trial.number}")
        self.release()

    def release(self) -> None:
        """Gives the right up; does nothing if that was done before."""
        self._lock.release()
