"""A trial as the study's database holds it, turned into plain data."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.config.space import readable
from search.records.trials import CurvePoint, Limits, TrialRecord, breach, objective_of
from search.records.trials import TrialState as RecordState
from search.storage import attributes


def family_of(trial: FrozenTrial) -> Hashable:
    """What the trials of one configuration have in common."""
    family: Hashable = trial.user_attrs.get(attributes.REFERENCE) or trial.user_attrs.get(
        attributes.RETRY_OF, trial.number
    )
    return family


def was_interrupted(trial: FrozenTrial) -> bool:
    """Whether the trial ended without a result of its own."""
    return trial.state == TrialState.FAIL and bool(trial.user_attrs.get(attributes.INTERRUPTED))


def was_superseded(trial: FrozenTrial) -> bool:
    """Whether the trial never began."""
    return trial.state == TrialState.FAIL and bool(trial.user_attrs.get(attributes.SUPERSEDED))


def to_run_again(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The last try of the first configuration that was interrupted and has no other try left.

    It follows from how the trials stand, not from who ran them.
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


def note(study: optuna.Study, trial: FrozenTrial | optuna.Trial, **notes: object) -> None:
    """Sets attributes of a trial, which another process may run; not of a finished one.

    Optuna's public way, ``Trial.set_user_attr``, is for the trial that this process runs.
    """
    for name, value in notes.items():
        study._storage.set_trial_user_attr(trial._trial_id, name, value)


def fail(study: optuna.Study, trial: FrozenTrial | optuna.Trial) -> None:
    """Ends a trial as failed; also one that waits, which ``Study.tell`` refuses.

    UpdateFinishedTrialError where it is finished, here and in :func:`note`.
    """
    study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


_WITH_REASON: tuple[RecordState, ...] = ("diverged", "failed", "interrupted")


NO_LIMITS: Limits = {}


def records(study: optuna.Study, limits: Limits = NO_LIMITS) -> list[TrialRecord]:
    """All trials of the study, in the order of their numbers."""
    return [record_of(trial, limits) for trial in study.get_trials(deepcopy=False)]


def costs_of(trial: FrozenTrial) -> dict[str, float]:
    """What is known of what the trial's model costs in use, by name."""
    count = trial.user_attrs.get(attributes.DERIVED, {}).get("parameter_count")
    known: dict[str, float] = {} if count is None else {"parameters": count}
    return {**known, **trial.user_attrs.get(attributes.COSTS, {})}


def infeasible(trial: FrozenTrial, limits: Limits) -> str | None:
    """Which limits the trial breaks, see :func:`search.records.trials.breach`.

    It follows from what was measured and from the limits as they are now: no verdict is stored.
    """
    if not limits or trial.state == TrialState.FAIL:
        return None
    return breach(costs_of(trial), limits, is_whole=trial.state == TrialState.COMPLETE)


def record_of(trial: FrozenTrial, limits: Limits = NO_LIMITS) -> TrialRecord:
    """What the storage holds of a trial, as plain data; ``limits`` are those of the study."""
    noted = trial.user_attrs
    curve = curve_from_json(noted.get(attributes.CURVE, []))
    state = _state(trial)
    best_epoch, value = (None, None) if state == "diverged" else _best_point(curve)
    return TrialRecord(
        number=trial.number,
        state=state,
        parameters=readable(tried_by(trial)),
        derived=noted.get(attributes.DERIVED, {}),
        value=value,
        best_epoch=best_epoch,
        costs=costs_of(trial),
        infeasible=infeasible(trial, limits),
        pruned_at_epoch=curve[-1].epoch if state == "pruned" and curve else None,
        reason=noted.get(attributes.REASON) if state in _WITH_REASON else None,
        out_of_memory=bool(noted.get(attributes.OOM)),
        reference=noted.get(attributes.REFERENCE),
        retry_of=noted.get(attributes.RETRY_OF),
        taken_over=noted.get(attributes.TAKEN_OVER),
        resumed_after=noted.get(attributes.RESUMED_AFTER),
        curve=curve,
        started_ms=_milliseconds(trial.datetime_start),
        ended_ms=_milliseconds(trial.datetime_complete),
        computed_on=noted.get(attributes.COMPUTED_ON, {}),
        train_seconds=noted.get(attributes.TRAIN_SECONDS),
    )


def curve_to_json(curve: Iterable[CurvePoint]) -> list[list[Any]]:
    """The curve as the trial attribute ``curve`` holds it."""
    return [[point.epoch, point.timestamp_ms, dict(point.metrics)] for point in curve]


def curve_from_json(rows: Sequence[Sequence[Any]]) -> tuple[CurvePoint, ...]:
    """The curve that :func:`curve_to_json` wrote."""
    return tuple(
        CurvePoint(epoch=epoch, timestamp_ms=timestamp, metrics=metrics)
        for epoch, timestamp, metrics in rows
    )


def _state(trial: FrozenTrial) -> RecordState:
    if was_interrupted(trial) or was_superseded(trial):
        return "interrupted"
    if trial.state == TrialState.PRUNED and trial.user_attrs.get(attributes.DIVERGED):
        return "diverged"
    states: Mapping[TrialState, RecordState] = {
        TrialState.WAITING: "waiting",
        TrialState.RUNNING: "running",
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
    }
    return states[trial.state]


def _best_point(curve: tuple[CurvePoint, ...]) -> tuple[int | None, float | None]:
    """The epoch and value of the highest validated objective, the earliest of equals."""
    values = [(point.epoch, objective_of(point.metrics)) for point in curve]
    validated = [(epoch, value) for epoch, value in values if value is not None]
    return max(validated, key=lambda pair: (pair[1], -pair[0]), default=(None, None))


def _milliseconds(moment: Any) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


def tried_by(trial: FrozenTrial) -> dict[str, int | float]:
    """The parameters a trial tries or will try, as far as they are known.

    A waiting trial holds none of its own yet, and one that was killed may hold only some; what
    it was enqueued with, or what a grid reserved for it, completes them.
    """
    fixed: dict[str, int | float] = trial.system_attrs.get(attributes.FIXED_PARAMETERS, {})
    reserved: dict[str, int | float] = trial.system_attrs.get(attributes.GRID_PARAMETERS, {})
    return {**trial.params, **fixed, **reserved}
