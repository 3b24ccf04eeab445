"""What MLflow shall hold: pure functions from records to the content of their runs."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from search.records.logged_runs import COMPUTED_ON
from search.records.results import ConfirmationRecord, ReferenceRecord, RetrainRecord
from search.records.trials import CurvePoint, StudyState, TrialRecord, TrialState, best_of, ranked
from search.storage.attributes import OOM
from search.tracking import words
from search.tracking.names import (
    BEST,
    KIND,
    NOTE,
    PARENT,
    REFERENCE,
    SOURCE_TRIAL,
    STUDY,
    STUDY_NAME,
    TRIAL,
    StudyContext,
)

Status = Literal["RUNNING", "FINISHED", "KILLED", "FAILED"]

_STATUS: Mapping[TrialState, Status] = {
    "waiting": "RUNNING",
    "running": "RUNNING",
    "complete": "FINISHED",
    "pruned": "KILLED",
    "interrupted": "KILLED",
    "diverged": "FAILED",
    "failed": "FAILED",
}
RANKED = 100
"""How many trials have a rank: a new best moves all others, each of them a request to a server."""

UNRANKED = f"over {RANKED}"
"""The rank of a trial that was among them before."""

_STUDY_STATUS: Mapping[StudyState, Status] = {
    "complete": "FINISHED",
    "interrupted": "KILLED",
    "failed": "FAILED",
}


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One value of a metric.

    Attributes:
        metric: its name.
        value: finite.
        timestamp_ms: milliseconds since 1970.
        step: the epoch; 0 for what has none.
    """

    metric: str
    value: float
    timestamp_ms: int
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class RunContent:
    """A run as it shall be.

    Attributes:
        name: of the run.
        status: in MLflow's words.
        params: what never changes.
        curve: metrics by epoch, in order.
        finals: metrics of the whole run.
        tags: by name.
        started_ms: milliseconds since 1970.
        ended_ms: milliseconds since 1970; None while it runs.
    """

    name: str
    status: Status
    params: Mapping[str, str] = field(default_factory=dict)
    curve: tuple[Measurement, ...] = ()
    finals: tuple[Measurement, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    started_ms: int | None = None
    ended_ms: int | None = None

    @property
    def latest(self) -> Mapping[str, float]:
        """The last value of every metric, as MLflow's tables show it."""
        return {m.metric: m.value for m in (*self.curve, *self.finals)}


def trial_content(
    trial: TrialRecord, context: StudyContext, *, parent_run_id: str, user: str
) -> RunContent:
    """The child run of a trial."""
    ended = None if _STATUS[trial.state] == "RUNNING" else _end_of(trial)
    return RunContent(
        name=words.trial_name(trial),
        status=_STATUS[trial.state],
        params=_texts({**trial.parameters, **trial.derived}),
        curve=curve_measurements(trial.curve),
        finals=_trial_finals(trial, ended or 0),
        tags={
            **_common_tags(context, kind="trial", user=user, source="search.run"),
            **_trial_tags(trial),
            PARENT: parent_run_id,
            NOTE: words.trial_note(trial, context),
        },
        started_ms=trial.started_ms,
        ended_ms=ended,
    )


def study_content(
    context: StudyContext,
    trials: Sequence[TrialRecord] = (),
    *,
    state: StudyState | None = None,
    user: str,
    best_run_id: str | None = None,
) -> RunContent:
    """The parent run of a study.

    Args:
        context: of the study.
        trials: all of them, or none at the start.
        state: how the search ended; None while it runs.
        user: whose runs these are.
        best_run_id: the run of the best trial.
    """
    ended = max((_end_of(trial) for trial in trials), default=0)
    best = best_of(trials)
    return RunContent(
        name=words.study_name(context, None if state is None else best),
        status="RUNNING" if state is None else _STUDY_STATUS[state],
        params=_study_params(context),
        finals=() if state is None else _study_finals(trials, ended),
        tags={
            **_common_tags(context, kind="study", user=user, source="search.run"),
            STUDY_NAME: context.name,
            "deeprec.trials": str(context.trials),
            NOTE: words.study_note(context, trials, state),
            "deeprec.state": state or "running",
            **(best_tags(best, best_run_id) if best and best_run_id else {}),
        },
        ended_ms=ended or None,
    )


def retrain_content(record: RetrainRecord, context: StudyContext, *, user: str) -> RunContent:
    """The run of a re-trained model: beside the study's parent, not among its trials."""
    return RunContent(
        name=words.retrain_name(record),
        status="FAILED" if record.collapsed else "FINISHED",
        params=_texts(
            {
                **record.parameters,
                **record.derived,
                "epochs": record.epochs,
                "seed": record.seed,
            }
        ),
        curve=curve_measurements(record.curve),
        finals=_measurements(record.metrics, record.ended_ms),
        tags={
            **_common_tags(context, kind="retrain", user=user, source="search.retrain"),
            **retrain_key(record),
            **_computed_on(record.computed_on),
            NOTE: words.retrain_note(record, context),
            **({"deeprec.reason": record.collapsed} if record.collapsed else {}),
        },
        started_ms=record.started_ms,
        ended_ms=record.ended_ms,
    )


def is_provenance(tag: str) -> bool:
    """Whether a tag says who wrote a run with what, which differs from process to process."""
    return tag.startswith(("mlflow.user", "mlflow.source.", "deeprec.version."))


def retrain_key(record: RetrainRecord) -> Mapping[str, str]:
    """The tags that tell a re-training from the others of its study."""
    return {
        SOURCE_TRIAL: str(record.trial),
        "deeprec.seed": str(record.seed),
        "deeprec.epochs": str(record.epochs),
    }


def reference_content(record: ReferenceRecord, context: StudyContext, *, user: str) -> RunContent:
    """The run of a reference: what any model should beat, measured like a model."""
    return RunContent(
        name=words.reference_name(record),
        status="FINISHED",
        params=_texts(record.parameters),
        finals=_measurements(record.metrics, record.measured_ms),
        tags={
            **_common_tags(context, kind="reference", user=user, source="search.run"),
            REFERENCE: record.name,
            NOTE: words.reference_note(record, context),
        },
        started_ms=record.measured_ms,
        ended_ms=record.measured_ms,
    )


def confirmation_content(
    record: ConfirmationRecord, context: StudyContext, *, user: str
) -> RunContent:
    """The run that sums up a confirmation: means and standard deviations over the seeds."""
    return RunContent(
        name=words.confirmation_name(record),
        status="FINISHED",
        finals=_measurements(record.metrics, record.confirmed_ms),
        tags={
            **_common_tags(context, kind="confirmation", user=user, source="search.retrain"),
            SOURCE_TRIAL: str(record.trial),
            NOTE: words.confirmation_note(record),
        },
        started_ms=record.confirmed_ms,
        ended_ms=record.confirmed_ms,
    )


def best_tags(trial: TrialRecord, run_id: str) -> Mapping[str, str]:
    """The parent's tags that point to the best trial."""
    parameters = ", ".join(f"{name}={value:.6g}" for name, value in trial.parameters.items())
    return {
        "deeprec.best_trial": str(trial.number),
        "deeprec.best_run_id": run_id,
        "deeprec.best_parameters": parameters,
    }


def ranks_of(trials: Sequence[TrialRecord]) -> Mapping[int, str]:
    """The tags of the hundred best complete trials by number: their places by value, from 1."""
    best = ranked(trials)[:RANKED]
    return {trial.number: str(place) for place, trial in enumerate(best, start=1)}


def changed_ranks(trials: Sequence[TrialRecord], stored: Mapping[int, str]) -> Mapping[int, str]:
    """What is to be written of :func:`ranks_of`, by trial number.

    Args:
        trials: all of the study.
        stored: the tags that runs have.
    """
    ranks = ranks_of(trials)
    fallen = {n: UNRANKED for n, tag in stored.items() if n not in ranks and tag != UNRANKED}
    return fallen | {n: rank for n, rank in ranks.items() if stored.get(n) != rank}


def best_measurement(trial: TrialRecord) -> tuple[Measurement, ...]:
    """The parent's best value, from the trial that reached it; later ones have later stamps."""
    return _measurements({BEST: trial.value}, _end_of(trial))


def curve_measurements(curve: Sequence[CurvePoint]) -> tuple[Measurement, ...]:
    """The metrics of the epochs; values that are not finite are left out.

    MLflow stores infinity as 1.8e308, which would be a lie in every plot.
    """
    return tuple(
        Measurement(metric=name, value=value, timestamp_ms=point.timestamp_ms, step=point.epoch)
        for point in curve
        for name, value in point.metrics.items()
        if math.isfinite(value)
    )


def _measurements(values: Mapping[str, float | None], at_ms: int) -> tuple[Measurement, ...]:
    return tuple(
        Measurement(metric=name, value=float(value), timestamp_ms=at_ms)
        for name, value in values.items()
        if value is not None and math.isfinite(value)
    )


def _trial_finals(trial: TrialRecord, at_ms: int) -> tuple[Measurement, ...]:
    if _STATUS[trial.state] == "RUNNING":
        return ()
    values = {
        BEST: trial.value,
        "best_epoch": trial.best_epoch,
        "train_seconds": trial.train_seconds,
    }
    return _measurements(values, at_ms)


def _study_finals(trials: Sequence[TrialRecord], at_ms: int) -> tuple[Measurement, ...]:
    best = best_of(trials)
    states = Counter(trial.state for trial in trials)
    counted: Sequence[TrialState] = ("complete", "pruned", "diverged", "failed", "interrupted")
    values = {BEST: best.value if best else None}
    return _measurements(values | {f"trials_{s}": float(states[s]) for s in counted}, at_ms)


def _end_of(trial: TrialRecord) -> int:
    """When the trial ended; of a killed one, when it last gave a sign of life."""
    last = trial.curve[-1].timestamp_ms if trial.curve else 0
    return trial.ended_ms or max(last, trial.started_ms or 0)


def _texts(values: Mapping[str, int | float | str]) -> Mapping[str, str]:
    return {name: str(value) for name, value in values.items()}


def _study_params(context: StudyContext) -> Mapping[str, str]:
    """Only what stays the same on resume: MLflow refuses a parameter's second value."""
    return _texts(
        {
            "seed": context.seed,
            "space_hash": context.space_hash,
            "data": context.data_name,
            "split": context.split,
            **{f"{part}_rows": count for part, count in context.rows.items()},
        }
    )


def _common_tags(context: StudyContext, *, kind: str, user: str, source: str) -> Mapping[str, str]:
    commit = context.git_commit
    return {
        KIND: kind,
        STUDY: context.key,
        "deeprec.data_fingerprint": context.data_fingerprint,
        "mlflow.user": user,
        "mlflow.source.name": source,
        "mlflow.source.type": "LOCAL",
        **({"mlflow.source.git.commit": commit} if commit else {}),
        **{f"deeprec.version.{library}": text for library, text in context.versions.items()},
    }


def _trial_tags(trial: TrialRecord) -> Mapping[str, str]:
    tags = {
        TRIAL: trial.number,
        "deeprec.state": trial.state,
        "deeprec.pruned_at_epoch": trial.pruned_at_epoch,
        "deeprec.reason": words.short(trial.reason),
        "deeprec.reference": trial.reference,
        "deeprec.retry_of": trial.retry_of,
        OOM: "true" if trial.out_of_memory else None,
    }
    known = {name: str(value) for name, value in tags.items() if value is not None}
    return known | _computed_on(trial.computed_on)


def _computed_on(computed_on: Mapping[str, str]) -> dict[str, str]:
    return {f"{COMPUTED_ON}{name}": value for name, value in computed_on.items()}
