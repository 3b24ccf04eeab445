"""Which trials try one and the same configuration, and which configurations have to run again.

A configuration that was interrupted is run again by a new trial, which points to the first. These
trials are a family, as are all those of one configuration of the study file.
"""

from collections.abc import Hashable, Sequence

from optuna.trial import FrozenTrial, TrialState

from search.attributes import INTERRUPTED, REFERENCE, RETRY_OF, SUPERSEDED


def family_of(trial: FrozenTrial) -> Hashable:
    """What the trials of one configuration have in common."""
    family: Hashable = trial.user_attrs.get(REFERENCE) or trial.user_attrs.get(
        RETRY_OF, trial.number
    )
    return family


def was_interrupted(trial: FrozenTrial) -> bool:
    """Whether the trial ended without a result of its own."""
    return trial.state == TrialState.FAIL and bool(trial.user_attrs.get(INTERRUPTED))


def was_superseded(trial: FrozenTrial) -> bool:
    """Whether the trial never began."""
    return trial.state == TrialState.FAIL and bool(trial.user_attrs.get(SUPERSEDED))


def to_run_again(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The last try of the first configuration that was interrupted and has no other try left.

    It follows from how the trials stand, not from who ran them: whoever asks gets one answer.
    """
    settled = {family_of(trial) for trial in trials if _settles(trial)}
    last_tries: dict[Hashable, FrozenTrial] = {}
    for trial in trials:
        if was_interrupted(trial) and family_of(trial) not in settled:
            last_tries[family_of(trial)] = trial
    return min(last_tries.values(), key=lambda trial: trial.number, default=None)


def superfluous(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that wait for a configuration that another trial has settled, or will."""
    settled = {
        family_of(trial)
        for trial in trials
        if _settles(trial) and trial.state != TrialState.WAITING
    }
    found: list[FrozenTrial] = []
    for trial in trials:
        if trial.state == TrialState.WAITING:
            if family_of(trial) in settled:
                found.append(trial)
            settled.add(family_of(trial))
    return found


def _settles(trial: FrozenTrial) -> bool:
    """Whether a configuration with this try needs no other."""
    return not was_interrupted(trial) and not was_superseded(trial)
