"""A claim that nobody disputes, for searches in one process."""

import optuna

from search.scheduling.claim import Claim
from search.scheduling.heartbeat import Pulse
from search.scheduling.locks import StopReason


class NoLock:
    """The lock of a study that nobody else searches."""

    name = "no lock"

    def take(self, stop_reason: StopReason) -> bool:
        return True

    def is_held(self) -> bool:
        return True

    def release(self) -> None:
        pass


class BrokenLock(NoLock):
    """A lock that is taken from whoever holds it."""

    def is_held(self) -> bool:
        return False


def undisputed() -> Claim:
    return Claim(NoLock(), "the only worker")


def still(study: optuna.Study) -> Pulse:
    """A pulse that is never entered: it neither beats nor watches."""
    return Pulse(study)
