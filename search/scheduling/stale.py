"""Trials whose process is gone: closed, so that their configurations run again.

A trial is closed by whoever holds the claim. Its worker may live after all and wake up late: then
it finds the trial finished, and its result is dropped. A state is told once, whoever is faster.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from search.storage.attributes import DIED, INTERRUPTED, OOM, REASON, SUPERSEDED, WORKER
from search.storage.trials import family_of

MOST_DEATHS = 2
"""So many workers may die with a configuration; then it is given up."""

SILENT = "its process gave no sign of life"
"""Why a trial is closed that a living worker may still be at."""

OUT_OF_MEMORY = "the system ended its process for want of memory"
"""Why a trial is closed whose configuration needs more memory than there is."""

IsGone = Callable[[FrozenTrial], bool]


@dataclass(frozen=True)
class Closed:
    """A trial that was closed.

    Attributes:
        number: of the trial.
        deaths: numbers of the trials of its configuration whose processes died.
        out_of_memory: whether the kernel ended its process for want of memory.
    """

    number: int
    deaths: Sequence[int]
    out_of_memory: bool = False

    @property
    def is_given_up(self) -> bool:
        """Whether the configuration will not run again."""
        return self.out_of_memory or len(self.deaths) >= MOST_DEATHS

    @property
    def reason(self) -> str:
        """Why it is given up, where it is."""
        died = f"{len(self.deaths)} processes died with it; the configuration is given up"
        return OUT_OF_MEMORY if self.out_of_memory else died

    @property
    def line(self) -> str:
        """What happened, for people."""
        if not self.is_given_up:
            return f"trial {self.number} lost its process and runs again"
        numbers = "" if self.out_of_memory else f" (trials {', '.join(map(str, self.deaths))})"
        return f"trial {self.number} failed: {self.reason}{numbers}"


def gone(*, dead: Collection[str] = (), silent: Collection[int] = ()) -> IsGone:
    """The rule by which a RUNNING trial, seen while the claim is held, belongs to nobody.

    Args:
        dead: names of workers that are known to be dead.
        silent: numbers of trials that gave no sign of life for too long.
    """

    def is_gone(trial: FrozenTrial) -> bool:
        # One that names no worker was left by a process that died while it held the claim.
        worker = trial.user_attrs.get(WORKER)
        return worker is None or worker in dead or trial.number in silent

    return is_gone


def everybody_gone(_trial: FrozenTrial) -> bool:
    """The rule where no other process is at work."""
    return True


def close_stale(
    study: optuna.Study,
    is_gone: IsGone,
    *,
    reason: str = "the process that ran it died",
    out_of_memory: bool = False,
) -> list[Closed]:
    """Records RUNNING trials that belong to nobody as interrupted, to run again.

    One whose configuration took a second process with it is recorded as failed instead, as is one
    that ran out of memory.

    Args:
        study: whose claim is held.
        is_gone: whether a trial belongs to nobody.
        reason: what became of the process.
        out_of_memory: whether the kernel ended it for want of memory.
    """
    trials = study.get_trials(deepcopy=False)
    stale = [trial for trial in trials if trial.state == TrialState.RUNNING and is_gone(trial)]
    return [
        closed for trial in stale for closed in _close(study, trial, trials, reason, out_of_memory)
    ]


def mark_interrupted(study: optuna.Study, trial: FrozenTrial | optuna.Trial, reason: str) -> None:
    """Notes, while the trial is unfinished, that it did not fail by itself: it will run again."""
    _note(study, trial, **{INTERRUPTED: True, REASON: reason})


def supersede(study: optuna.Study, trial: FrozenTrial | optuna.Trial) -> None:
    """Ends a trial that another one took the place of before it began."""
    with suppress(UpdateFinishedTrialError):
        reason = "another process decided in its place before it began"
        _note(study, trial, **{SUPERSEDED: True, REASON: reason})
        _fail(study, trial)


def _close(
    study: optuna.Study,
    trial: FrozenTrial,
    trials: Iterable[FrozenTrial],
    reason: str,
    out_of_memory: bool,
) -> list[Closed]:
    has_begun = WORKER in trial.user_attrs
    deaths = _deaths(trial, trials) + ([trial.number] if has_begun else [])
    closed = Closed(trial.number, deaths, out_of_memory=out_of_memory and has_begun)
    with suppress(UpdateFinishedTrialError):  # its worker told how it ended at this very moment
        if has_begun:
            _note(study, trial, **{DIED: True})
        if closed.out_of_memory:
            _note(study, trial, **{OOM: True})
        if closed.is_given_up:
            _note(study, trial, **{REASON: closed.reason})
        else:
            mark_interrupted(study, trial, reason)
        _fail(study, trial)
        return [closed]
    return []


def _deaths(trial: FrozenTrial, trials: Iterable[FrozenTrial]) -> list[int]:
    """Earlier trials of the configuration whose processes died."""
    return [
        other.number
        for other in trials
        if other.number != trial.number
        and other.state == TrialState.FAIL
        and other.user_attrs.get(DIED)
        and family_of(other) == family_of(trial)
    ]


def _note(study: optuna.Study, trial: FrozenTrial | optuna.Trial, **notes: object) -> None:
    for name, value in notes.items():
        study._storage.set_trial_user_attr(trial._trial_id, name, value)


def _fail(study: optuna.Study, trial: FrozenTrial | optuna.Trial) -> None:
    study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
