"""The loop of a search: what runs next, one trial after another, until the budget is met."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.grid import ListSampler, tried_by
from search.objective import Objective, TrialWatcher
from search.samplers import make_sampler
from search.seeds import derive_seed
from search.space import enqueued_configurations, parameters_of
from search.spec import StudySpec
from search.storage import place_of_next, record_of
from search.towers import find_towers

OutcomeState = Literal["complete", "interrupted", "timeout", "failing", "exhausted"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a search ended.

    Attributes:
        state: ``complete``: the study has its trials. ``interrupted``, ``timeout``: it was stopped.
            ``failing``: too many trials failed in a row. ``exhausted``: the grid has no more.
        reason: the same in words, for all but ``complete``.
    """

    state: OutcomeState
    reason: str = ""


def search(
    study: optuna.Study,
    spec: StudySpec,
    objective: Objective,
    *,
    watchers: Sequence[TrialWatcher] = (),
    stop_reason: Callable[[], str | None] = lambda: None,
    timeout_seconds: float | None = None,
) -> Outcome:
    """Runs trials until the study holds ``spec.study.trials`` finished ones (complete or pruned).

    Args:
        study: held by this process alone, see :func:`search.storage.only_run`.
        spec: the study file, the command line's choices included.
        objective: runs one trial.
        watchers: told when a trial is over.
        stop_reason: asked between trials; a text ends the search.
        timeout_seconds: no trial starts later than this.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    first_number = len(study.get_trials(deepcopy=False))
    while True:
        trials = study.get_trials(deepcopy=False)
        outcome = _outcome(trials, spec, first_number, stop_reason(), deadline)
        if outcome is not None:
            return outcome
        sampler_seed = derive_seed(spec.study.seed, "sampler", place_of_next(trials))
        study.sampler = make_sampler(spec, seed=sampler_seed)
        if not enqueue_next(study, trials, spec) and _is_exhausted(study):
            return Outcome(state="exhausted", reason="every configuration of the grid was tried")
        try:
            study.optimize(objective, n_trials=1, catch=(Exception,))
        except KeyboardInterrupt as interrupt:
            return Outcome(state="interrupted", reason=str(interrupt) or "interrupted")
        finally:
            _tell_ended(study, trials, objective, watchers)


def enqueue_next(study: optuna.Study, trials: Sequence[FrozenTrial], spec: StudySpec) -> bool:
    """Enqueues what has to run before the sampler is asked; returns whether anything has to.

    First configurations whose trial was interrupted and has not been run again, then the file's
    configurations that the study does not hold yet. One at a time, so that what was interrupted
    last runs next, and a killed process never leaves the same configuration in the queue twice.
    """
    if any(trial.state == TrialState.WAITING for trial in trials):
        return True
    fixed = _interrupted_configuration(trials) or _reference_configuration(trials, spec)
    if fixed is not None:
        parameters, attributes = fixed
        study.enqueue_trial(parameters, user_attrs=attributes)
    return fixed is not None


def _interrupted_configuration(
    trials: Sequence[FrozenTrial],
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Parameters and attributes of a new try, which points to the first try of all."""
    retried = {trial.user_attrs.get("retry_trial") for trial in trials}
    for trial in trials:
        if trial.user_attrs.get("interrupted") and trial.number not in retried:
            attributes = {
                "retry_trial": trial.number,
                "retry_of": trial.user_attrs.get("retry_of", trial.number),
            }
            if "reference" in trial.user_attrs:
                attributes["reference"] = trial.user_attrs["reference"]
            return tried_by(trial), attributes
    return None


def _reference_configuration(
    trials: Sequence[FrozenTrial], spec: StudySpec
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    held = {trial.user_attrs.get("reference") for trial in trials}
    for name, configuration in enqueued_configurations(spec).items():
        if name not in held:
            return parameters_of(configuration), {"reference": name}
    return None


def _is_exhausted(study: optuna.Study) -> bool:
    return isinstance(study.sampler, ListSampler) and study.sampler.remaining(study) == 0


def _outcome(
    trials: Sequence[FrozenTrial],
    spec: StudySpec,
    first_number: int,
    stop_reason: str | None,
    deadline: float | None,
) -> Outcome | None:
    """How the search ends before the next trial; None while it goes on."""
    finished = sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials)
    if finished >= spec.study.trials:
        return Outcome(state="complete")
    if stop_reason is not None:
        return Outcome(state="interrupted", reason=stop_reason)
    if deadline is not None and time.monotonic() >= deadline:
        return Outcome(state="timeout", reason="the time of --timeout is over")
    failures = failures_in_a_row(trials[first_number:])
    if len(failures) >= spec.study.max_failures_in_a_row:
        reason = failures[-1].user_attrs.get("reason", "no reason recorded")
        return Outcome(
            state="failing", reason=f"{len(failures)} trials failed in a row; the last: {reason}"
        )
    return None


def failures_in_a_row(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The failed trials since the last one that finished; interrupted ones do not count."""
    failures: list[FrozenTrial] = []
    for trial in trials:
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            failures.clear()
        elif trial.state == TrialState.FAIL and not trial.user_attrs.get("interrupted"):
            failures.append(trial)
    return failures


def _tell_ended(
    study: optuna.Study,
    before: Sequence[FrozenTrial],
    objective: Objective,
    watchers: Sequence[TrialWatcher],
) -> None:
    """Tells the watchers how the trials ended that were not over before."""
    over_before = {trial.number for trial in before if trial.state.is_finished()}
    for trial in study.get_trials(deepcopy=False):
        if trial.state.is_finished() and trial.number not in over_before:
            towers = find_towers(objective.towers_folder, trial.number)
            for watcher in watchers:
                watcher.trial_finished(record_of(trial), towers)
