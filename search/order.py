"""What runs next, and which place it has in the study.

A trial's **place** is what its random draws are seeded by: the place of its configuration among
those of the study, from 0. A configuration that runs again keeps its place. So an interrupted
search reaches the numbers of an undisturbed one, and no two configurations share a seed, however
many workers there are. The place follows from what a trial is created with (its number, and
which trial it runs again), so nothing has to be written for it and no kill can lose it.
"""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.attributes import REFERENCE, RETRY_OF
from search.families import superfluous, to_run_again, was_superseded
from search.grid import tried_by
from search.space import enqueued_configurations, parameters_of
from search.spec import StudySpec
from search.stale import supersede


def enqueue_next(study: optuna.Study, trials: Sequence[FrozenTrial], spec: StudySpec) -> bool:
    """Enqueues what has to run before the sampler is asked; returns whether anything has to.

    First configurations whose trial was interrupted and has not been run again, then the file's
    configurations that the study does not hold yet. One at a time, so that what was interrupted
    last runs next, and a killed process never leaves the same configuration in the queue twice.
    """
    for trial in superfluous(trials):  # left by a process whose claim was taken from it
        supersede(study, trial)
    if _waiting(trials) is not None:
        return True
    fixed = _interrupted_configuration(trials) or _reference_configuration(trials, spec)
    if fixed is not None:
        parameters, attributes = fixed
        study.enqueue_trial(parameters, user_attrs=attributes)
    return fixed is not None


def place_of_next(trials: Sequence[FrozenTrial]) -> int:
    """The place of the trial that runs after these: one that waits, a new try, or a new trial."""
    known = _waiting(trials) or to_run_again(trials)
    return place_of(trials, len(trials) if known is None else known.number)


def place_of(trials: Sequence[FrozenTrial], number: int) -> int:
    """The place of trial ``number``.

    Args:
        trials: of the study, in the order of their numbers; those up to ``number`` are enough,
            without it if it is new.
        number: of the trial.
    """
    if number < len(trials):
        number = trials[number].user_attrs.get(RETRY_OF, number)
    return sum(RETRY_OF not in trial.user_attrs for trial in trials[:number])


def _waiting(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    superseded = {trial.number for trial in superfluous(trials)}
    waiting = (trial for trial in trials if trial.state == TrialState.WAITING)
    return next((trial for trial in waiting if trial.number not in superseded), None)


def _interrupted_configuration(
    trials: Sequence[FrozenTrial],
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Parameters and attributes of a new try, which points to the first try of all."""
    trial = to_run_again(trials)
    if trial is None:
        return None
    attributes = {RETRY_OF: trial.user_attrs.get(RETRY_OF, trial.number)}
    if REFERENCE in trial.user_attrs:
        attributes[REFERENCE] = trial.user_attrs[REFERENCE]
    return tried_by(trial), attributes


def _reference_configuration(
    trials: Sequence[FrozenTrial], spec: StudySpec
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    held = {trial.user_attrs.get(REFERENCE) for trial in trials if not was_superseded(trial)}
    for name, configuration in enqueued_configurations(spec).items():
        if name not in held:
            return parameters_of(configuration), {REFERENCE: name}
    return None
