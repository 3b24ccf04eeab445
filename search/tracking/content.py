"""What MLflow shall hold: pure functions from records to the content of their runs.

Names and notes of runs are ours until a person edits them, then theirs: a run carries a tag with
digests of the name and the note that were written last, and a text that is no longer the one
written stays as it is.
"""

import getpass
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from search.records.results import ConfirmationRecord, ReferenceRecord, RetrainRecord
from search.records.trials import (
    COSTS,
    CurvePoint,
    StudyState,
    TrialRecord,
    TrialState,
    best_of,
    front_of,
    ranked,
)
from search.storage.attributes import OOM
from search.tracking import names, words
from search.tracking.names import COMPUTED_ON, FINGERPRINT, StudyContext

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
_STUDY_STATUS: Mapping[StudyState, Status] = {
    "complete": "FINISHED",
    "interrupted": "KILLED",
    "failed": "FAILED",
}
_FOUND_BY: Mapping[str, Sequence[str]] = {
    "trial": (names.TRIAL,),
    "reference": (names.REFERENCE,),
    "retrain": (names.SOURCE_TRIAL, names.SEED, names.EPOCHS),
    "refresh": (names.SOURCE_TRIAL, names.SEED, names.EPOCHS, FINGERPRINT),
    "confirmation": (names.SOURCE_TRIAL,),
}
"""By kind of run: the tags that tell it from the others of its study."""

RANKED = 100
"""How many trials have a rank: a new best moves all others, each of them a request to a server."""

UNRANKED = f"over {RANKED}"  # the rank of a trial that was among them before


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One value of a metric: finite, by epoch (0 for what has none), in milliseconds since 1970."""

    metric: str
    value: float
    timestamp_ms: int
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A run as MLflow has it."""

    run_id: str
    status: str
    params: Mapping[str, str]
    latest: Mapping[str, float]
    tags: Mapping[str, str]
    has_inputs: bool
    started_ms: int
    folder: Path | None  # of its artifacts, where that is on this machine's disk


@dataclass(frozen=True, kw_only=True)
class RunContent:
    """A run as it shall be."""

    name: str
    status: Status
    params: Mapping[str, str] = field(default_factory=dict)  # what never changes
    curve: tuple[Measurement, ...] = ()
    finals: tuple[Measurement, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    started_ms: int | None = None
    ended_ms: int | None = None  # milliseconds since 1970; None while it runs

    @property
    def latest(self) -> Mapping[str, float]:
        """The last value of every metric, as MLflow's tables show it."""
        return {m.metric: m.value for m in (*self.curve, *self.finals)}

    @property
    def key(self) -> Mapping[str, str]:
        """The tags by which the run is found."""
        tags = (names.STUDY, names.KIND, *_FOUND_BY.get(self.tags[names.KIND], ()))
        return {tag: self.tags[tag] for tag in tags}

    def tags_over(self, stored: Mapping[str, str]) -> dict[str, str]:
        """The tags that a run with these shall have; name and note where they are still ours."""
        texts = {names.RUN_NAME: self.name, names.NOTE: self.tags.get(names.NOTE, "")}
        written = dict(zip(texts, stored.get(names.WRITTEN, "").split(), strict=False))
        ours = [name for name in texts if self._is_ours(name, stored, written.get(name))]
        tags = {name: value for name, value in self.tags.items() if name != names.NOTE}
        if ours:
            tags |= {name: texts[name] for name in ours}
            digests = [_digest(texts[n]) if n in ours else written.get(n, "-") for n in texts]
            tags[names.WRITTEN] = " ".join(digests)
        return tags

    def _is_ours(self, name: str, stored: Mapping[str, str], written: str | None) -> bool:
        if not stored or written is not None:
            return not stored or _digest(stored.get(name, "")) == written
        # Version 0.1.0 kept no digests: what it wrote of a study is known by how it reads.
        text = stored.get(name, "")
        if self.tags.get(names.KIND) != "study":
            return False
        if name == names.RUN_NAME:
            parts = text.split(" ")
            return parts[:2] == self.name.split(" ")[:2] and len(parts) <= 3
        beginning = self.tags[names.NOTE].partition(":")[0]
        return text.startswith(f"{beginning}: a search over") and text.endswith("`")


def runs_of(content: RunContent, runs: Iterable[StoredRun]) -> list[StoredRun]:
    """The runs of a trial, the one to keep first.

    There is a second one when a request was carried out but its answer was lost. A run of the
    same number with other parameters is of an earlier study of that name, and not among them.
    """
    matching = [
        run
        for run in runs
        if run.tags.get(names.TRIAL) == content.tags[names.TRIAL]
        and all(run.params.get(name, value) == value for name, value in content.params.items())
    ]
    return sorted(
        matching,
        key=lambda run: (run.started_ms != content.started_ms, run.status == "RUNNING", run.run_id),
    )


def is_provenance(tag: str) -> bool:
    """Whether a tag says who wrote a run with what, which differs from process to process."""
    return tag.startswith(("mlflow.user", "mlflow.source.", "deeprec.version."))


def trial_content(trial: TrialRecord, context: StudyContext, parent_run_id: str) -> RunContent:
    """The child run of a trial."""
    is_open = _STATUS[trial.state] == "RUNNING"
    ended = _end_of(trial)
    finals: dict[str, float | None] = {
        names.best_metric(context.objective): trial.value,
        "best_epoch": trial.best_epoch,
        "train_seconds": trial.train_seconds,
        **{name: trial.costs.get(name) for name in COSTS if name != "parameters"},
    }
    tags = {
        names.TRIAL: trial.number,
        "deeprec.state": trial.state,
        "deeprec.pruned_at_epoch": trial.pruned_at_epoch,
        "deeprec.reason": words.short(trial.reason),
        "deeprec.infeasible": trial.infeasible,
        "deeprec.reference": trial.reference,
        "deeprec.retry_of": trial.retry_of,
        "deeprec.taken_over": trial.taken_over,
        OOM: "true" if trial.out_of_memory else None,
        names.PARENT: parent_run_id,
        names.NOTE: words.trial_note(trial, context),
    }
    return RunContent(
        name=words.trial_name(trial),
        status=_STATUS[trial.state],
        params=_texts({**trial.parameters, **trial.derived}),
        curve=curve_measurements(trial.curve),
        finals=() if is_open else _measurements(finals, ended),
        tags=_tags(context, "trial", "search.run", tags, trial.computed_on),
        started_ms=trial.started_ms,
        ended_ms=None if is_open else ended,
    )


def study_content(
    context: StudyContext,
    trials: Sequence[TrialRecord] = (),
    *,
    state: StudyState | None = None,
    best_run_id: str | None = None,
) -> RunContent:
    """The parent run of a study.

    There are no trials at the start, and no state while the search runs.
    """
    ended = max((_end_of(trial) for trial in trials), default=0)
    best = best_of(trials)
    states = Counter(trial.state for trial in trials)
    counted: Sequence[TrialState] = ("complete", "pruned", "diverged", "failed", "interrupted")
    finals = {names.best_metric(context.objective): best.value if best else None}
    finals |= {f"trials_{each}": float(states[each]) for each in counted}
    # Only what stays the same on resume: MLflow refuses a parameter's second value.
    params = {
        "seed": context.seed,
        "space_hash": context.space_hash,
        "data": context.data_name,
        "split": context.split,
        **{f"{part}_rows": count for part, count in context.rows.items()},
    }
    tags = {
        names.STUDY_NAME: context.name,
        "deeprec.trials": context.trials,
        names.NOTE: words.study_note(context, trials, state),
        "deeprec.state": state or "running",
        **(best_tags(best, best_run_id) if best and best_run_id else {}),
    }
    return RunContent(
        name=words.study_name(context, None if state is None else best),
        status="RUNNING" if state is None else _STUDY_STATUS[state],
        params=_texts(params),
        finals=() if state is None else _measurements(finals, ended),
        tags=_tags(context, "study", "search.run", tags),
        ended_ms=ended or None,
    )


def retrain_content(record: RetrainRecord, context: StudyContext) -> RunContent:
    """The run of a re-trained model: beside the study's parent, not among its trials."""
    kind = "refresh" if record.is_refresh else "retrain"
    own = {"epochs": record.epochs, "seed": record.seed}
    tags = {
        names.SOURCE_TRIAL: record.trial,
        names.SEED: record.seed,
        names.EPOCHS: record.epochs,
        names.NOTE: words.retrain_note(record, context),
        "deeprec.reason": record.collapsed or None,
    }
    return RunContent(
        name=words.retrain_name(record),
        status="FAILED" if record.collapsed else "FINISHED",
        params=_texts({**record.parameters, **record.derived, **own}),
        curve=curve_measurements(record.curve),
        finals=_measurements({**record.metrics, **record.index}, record.ended_ms),
        tags=_tags(context, kind, "search.retrain", tags, record.computed_on),
        started_ms=record.started_ms,
        ended_ms=record.ended_ms,
    )


def reference_content(record: ReferenceRecord, context: StudyContext) -> RunContent:
    """The run of a reference: what any model should beat, measured like a model."""
    tags = {names.REFERENCE: record.name, names.NOTE: words.reference_note(record, context)}
    return RunContent(
        name=words.reference_name(record),
        status="FINISHED",
        params=_texts(record.parameters),
        finals=_measurements(record.metrics, record.measured_ms),
        tags=_tags(context, "reference", "search.run", tags),
        started_ms=record.measured_ms,
        ended_ms=record.measured_ms,
    )


def confirmation_content(record: ConfirmationRecord, context: StudyContext) -> RunContent:
    """The run that sums up a confirmation: means and standard deviations over the seeds."""
    tags = {names.SOURCE_TRIAL: record.trial, names.NOTE: words.confirmation_note(record, context)}
    return RunContent(
        name=words.confirmation_name(record),
        status="FINISHED",
        finals=_measurements(record.metrics, record.confirmed_ms),
        tags=_tags(context, "confirmation", "search.retrain", tags),
        started_ms=record.confirmed_ms,
        ended_ms=record.confirmed_ms,
    )


def best_tags(trial: TrialRecord, run_id: str) -> Mapping[str, str]:
    """The parent's tags that point to the best trial."""
    parameters = ", ".join(f"{n}={_in_six_digits(v)}" for n, v in trial.parameters.items())
    return {
        "deeprec.best_trial": str(trial.number),
        "deeprec.best_run_id": run_id,
        "deeprec.best_parameters": parameters,
    }


def _in_six_digits(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def best_measurement(trial: TrialRecord, context: StudyContext) -> tuple[Measurement, ...]:
    """The parent's best value, from the trial that reached it; later ones have later stamps."""
    return _measurements({names.best_metric(context.objective): trial.value}, _end_of(trial))


def ranks_of(trials: Sequence[TrialRecord]) -> Mapping[int, str]:
    """The tags of the hundred best complete trials by number: their places by value, from 1."""
    best = ranked(trials)[:RANKED]
    return {trial.number: str(place) for place, trial in enumerate(best, start=1)}


def changed_ranks(trials: Sequence[TrialRecord], stored: Mapping[int, str]) -> Mapping[int, str]:
    """What is to be written of :func:`ranks_of` over the tags that runs have, by trial number."""
    return _changed(ranks_of(trials), stored, UNRANKED)


def changed_front(
    trials: Sequence[TrialRecord], context: StudyContext, stored: Mapping[int, str]
) -> Mapping[int, str]:
    """The same of the tags of the Pareto front, which a study of several objectives has."""
    front = front_of(trials, context.objectives) if len(context.objectives) > 1 else []
    return _changed({trial.number: "true" for trial in front}, stored, "false")


def _changed(tags: Mapping[int, str], stored: Mapping[int, str], fallen: str) -> Mapping[int, str]:
    """The tags that differ from those stored; ``fallen`` where there is one that shall not be."""
    lost = {n: fallen for n, tag in stored.items() if n not in tags and tag != fallen}
    return lost | {n: tag for n, tag in tags.items() if stored.get(n) != tag}


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


def _end_of(trial: TrialRecord) -> int:
    """When the trial ended; of a killed one, the time of its last epoch."""
    last = trial.curve[-1].timestamp_ms if trial.curve else 0
    return trial.ended_ms or max(last, trial.started_ms or 0)


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}


def _tags(
    context: StudyContext,
    kind: str,
    source: str,
    tags: Mapping[str, object],
    computed_on: Mapping[str, str] | None = None,
) -> Mapping[str, str]:
    """The tags that runs of all kinds have, and those of one, without what is None."""
    return _texts(
        {
            names.KIND: kind,
            names.STUDY: context.key,
            FINGERPRINT: context.data_fingerprint,
            "mlflow.user": _user_name(),
            "mlflow.source.name": source,
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": context.git_commit or None,
            **{f"deeprec.version.{library}": text for library, text in context.versions.items()},
            **tags,
            **{f"{COMPUTED_ON}{name}": value for name, value in (computed_on or {}).items()},
        }
    )


@cache
def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "unknown"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
