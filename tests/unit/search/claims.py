"""A claim without contention, for searches in one process."""

from collections.abc import Callable
from pathlib import Path

import optuna

from search.config.study import StudySpec
from search.execution.loop import TrialLoop
from search.records.events import Hooks
from search.scheduling.heartbeat import Pulse
from search.scheduling.locks import Claim, StopReason


class NoLock:
    """The lock of a study that no other process searches."""

    name = "no lock"

    def take(self, stop_reason: StopReason) -> bool:
        return True

    def is_held(self) -> bool:
        return True

    def release(self) -> None:
        pass


class BrokenLock(NoLock):
    """A lock that is taken from its holder."""

    def is_held(self) -> bool:
        return False


def undisputed() -> Claim:
    return Claim(NoLock(), "the only worker")


def still(study: optuna.Study) -> Pulse:
    """A pulse that is never entered: it neither beats nor watches."""
    return Pulse(study)


Behavior = Callable[[optuna.Trial], float]
"""What an objective does whose value, or whose end, a test decides."""


def good(trial: optuna.Trial) -> float:
    return 0.3 + trial.params["learning_rate"] / 100


def loop_of(
    study: optuna.Study,
    spec: StudySpec,
    behavior: Behavior = good,
    *,
    folder: Path = Path("no towers"),
    claim: Claim | None = None,
    hooks: Hooks | None = None,
) -> TrialLoop:
    """The loop of a process whose trainings are replaced by a behavior."""
    return TrialLoop(
        study=study,
        spec=spec,
        towers_folder=folder,
        claim=claim or undisputed(),
        pulse=still(study),
        make_objective=lambda: lambda trial, _configuration: behavior(trial),
        hooks=hooks or Hooks(),
    )
