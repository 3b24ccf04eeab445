"""What runs next, which place it has in the study, and whether anything runs next at all.

A trial's **place** is what its random draws are seeded by: the place of its configuration among
those of the study, from 0. A configuration that runs again keeps its place. So an interrupted
search reaches the numbers of an undisturbed one, and no two configurations share a seed, however
many workers there are. The place follows from what a trial is created with (its number, and
which trial it runs again), so nothing has to be written for it and no kill can lose it.

Whether a search has stalled is a pure function of the trials in the order of their places, too: of
workers that ask at different moments, and of a search that is interrupted, each stops at the same
place.
"""

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.config.space import enqueued_configurations, parameters_of
from search.config.study import StudySpec
from search.records.trials import Limits, excesses
from search.scheduling.heartbeat import supersede
from search.scheduling.locks import ClaimLostError
from search.scheduling.samplers import ListSampler, derive_seed, make_sampler, sampler_of_next
from search.storage.attributes import REFERENCE, RETRY_OF
from search.storage.trials import (
    NO_LIMITS,
    costs_of,
    infeasible,
    superfluous,
    to_run_again,
    tried_by,
    was_interrupted,
    was_superseded,
)


@dataclass(frozen=True, kw_only=True)
class NextTrial:
    """What runs after some trials."""

    place: int
    number: int  # which its trial has, or will get
    is_waiting: bool = False  # whether the study's queue holds it already
    # of a configuration that has to be enqueued; None where one waits, or where the sampler decides
    parameters: Mapping[str, Any] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)  # of that trial


def next_trial(trials: Sequence[FrozenTrial], spec: StudySpec) -> NextTrial:
    """Decides what runs next.

    First what waits, then a configuration whose trial was interrupted and has not been run again,
    then the file's configurations that the study does not hold yet, then what the sampler says.
    """
    if (waiting := _waiting(trials)) is not None:
        place = place_of(trials, waiting.number)
        return NextTrial(place=place, number=waiting.number, is_waiting=True)
    new = len(trials)
    if (again := to_run_again(trials)) is not None:
        attributes = {RETRY_OF: again.user_attrs.get(RETRY_OF, again.number)}
        if REFERENCE in again.user_attrs:
            attributes[REFERENCE] = again.user_attrs[REFERENCE]
        place = place_of(trials, again.number)
        return NextTrial(place=place, number=new, parameters=tried_by(again), attributes=attributes)
    place = place_of(trials, new)
    held = {trial.user_attrs.get(REFERENCE) for trial in trials if not was_superseded(trial)}
    for name, configuration in enqueued_configurations(spec).items():
        if name not in held:
            parameters = parameters_of(configuration)
            return NextTrial(
                place=place, number=new, parameters=parameters, attributes={REFERENCE: name}
            )
    return NextTrial(place=place, number=new)


def ask_next(
    study: optuna.Study, trials: Sequence[FrozenTrial], spec: StudySpec, *, others_run: bool
) -> optuna.Trial | None:
    """Creates the trial that runs next; the claim is held.

    One configuration at a time is enqueued, so that what was interrupted last runs next, and a
    killed process never leaves the same configuration in the queue twice.

    None where every configuration of a grid was tried.

    Raises:
        ClaimLostError: the trial got another number than was decided. Another process whose claim
            was lost created one meanwhile, or this one did in an outage, without an answer. Its
            draws would be those of another place, so it is left out.
    """
    tell_limits(trials, spec.limits.given)
    for trial in superfluous(trials):  # left by a process whose claim was taken from it
        supersede(study, trial)
    following = next_trial(trials, spec)
    seed = derive_seed(spec.study.seed, "sampler", following.place)
    study.sampler = make_sampler(spec, seed, others_run=others_run)
    if following.parameters is not None:
        study.enqueue_trial(dict(following.parameters), user_attrs=dict(following.attributes))
    elif not following.is_waiting:
        if isinstance(study.sampler, ListSampler) and not study.sampler.remaining(study):
            return None
        study.sampler = sampler_of_next(study, trials, spec, following.place, others_run=others_run)
    asked = study.ask()
    if asked.number != following.number:
        supersede(study, asked)
        raise ClaimLostError(
            f"trial {asked.number} was to be trial {following.number}, which exists by now"
        )
    return asked


def tell_limits(trials: Sequence[FrozenTrial], limits: Limits) -> None:
    """Has Optuna's samplers know which trials break limits, as constraints: TPE and NSGA-II ask.

    It is told to the trials in this process's memory, which samplers share, and not stored: the
    limits may be others when the search goes on. A constraint is above 0 where it is broken, and
    says by how much of the limit, so that limits of all costs weigh alike.
    """
    for trial in trials:
        if limits and trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            for name, excess in excesses(costs_of(trial), limits).items():
                if name not in trial.constraints:
                    trial.set_constraint(name, excess)


def place_of(trials: Sequence[FrozenTrial], number: int) -> int:
    """The place of trial ``number``.

    Trials up to that one are enough, without it if it is new.
    """
    if number < len(trials):
        number = trials[number].user_attrs.get(RETRY_OF, number)
    return sum(RETRY_OF not in trial.user_attrs for trial in trials[:number])


def _waiting(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    superseded = {trial.number for trial in superfluous(trials)}
    waiting = (trial for trial in trials if trial.state == TrialState.WAITING)
    return next((trial for trial in waiting if trial.number not in superseded), None)


def stall_of(trials: Sequence[FrozenTrial], spec: StudySpec) -> str | None:
    """Why a search of the study is to end, see :func:`stalled`."""
    patience = spec.study.stop_when_stalled
    return stalled(trials, patience, spec.limits.given, spec.directions)


def stalled(
    trials: Sequence[FrozenTrial],
    patience: int | None,
    limits: Limits = NO_LIMITS,
    directions: Sequence[str] = ("maximize",),
) -> str | None:
    """Why the search is to end: so many finished trials in a row without a new best value.

    A trial is a new best one if none before it, within the limits, was as good by all objectives.

    None while the search is to go on, and where there is no patience to lose. What is lost by
    ending then is less than the noise of seeds, see docs/search-quality.md.
    """
    signs = [1 if direction == "maximize" else -1 for direction in directions]
    best: list[list[float]] = []
    since = 0
    for trial in _over(trials) if patience else ():
        if trial.state == TrialState.FAIL:
            continue
        able = trial.state == TrialState.COMPLETE and not infeasible(trial, limits)
        values = [sign * value for sign, value in zip(signs, trial.values or (), strict=False)]
        if able and not any(all(map(operator.ge, other, values)) for other in best):
            best.append(values)
            since = 0
        else:
            since += 1
        if since == patience:
            return f"{since} trials in a row brought no new best"
    return None


def _over(trials: Sequence[FrozenTrial]) -> Iterator[FrozenTrial]:
    """The last try of every place, in their order, up to the first that is not over."""
    tries: dict[int, FrozenTrial] = {}
    for trial in trials:
        if not was_superseded(trial):
            tries[trial.user_attrs.get(RETRY_OF, trial.number)] = trial
    return takewhile(
        lambda trial: trial.state.is_finished() and not was_interrupted(trial), tries.values()
    )
