"""A trial as plain data: what tracking, progress and summaries know of it.

Optuna's storage is the truth; :mod:`search.stored_trials` reads these records from it. Everything
MLflow shows of a trial is in its record (the towers excepted), so it can be rebuilt from there.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

TrialState = Literal[
    "waiting", "running", "complete", "pruned", "diverged", "failed", "interrupted"
]
StudyState = Literal["complete", "interrupted", "failed"]
"""How a search ended."""

OBJECTIVE_METRIC = "val_top_100_accuracy"
"""The metric whose best validated value is the value of a trial; higher is better."""

FINISHED_STATES: tuple[TrialState, ...] = ("complete", "pruned", "diverged")
"""The states that count towards ``--trials``."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """The metrics at the end of one epoch.

    Attributes:
        epoch: counted from 1.
        timestamp_ms: when the epoch ended, milliseconds since 1970.
        metrics: ``train_loss`` of every epoch; on validated epochs also ``val_loss`` and
            ``val_top_100_accuracy``.
    """

    epoch: int
    timestamp_ms: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial of a study.

    Attributes:
        number: the number Optuna gave it, from 0.
        state: how it stands.
        parameters: the sampled parameters by name, as people read them (widths, not exponents).
        derived: what follows from them: ``layer_sizes`` (as text), ``parameter_count``, ``seed``.
        value: the best validation top-100 accuracy; None while there is none, and where the
            training diverged.
        best_epoch: the epoch of that value.
        pruned_at_epoch: where the pruner stopped it, if it did.
        reason: why it diverged, failed or was interrupted, if it did.
        out_of_memory: whether it failed because it needs more memory than there is.
        reference: name of the enqueued configuration this is, such as ``tutorial (64, 32)``.
        retry_of: number of the interrupted trial whose configuration this one runs again.
        curve: the epochs, in order.
        started_ms: milliseconds since 1970.
        ended_ms: milliseconds since 1970; None while it runs.
        computed_on: what decides how its sums were rounded, see
            :func:`search.provenance.computed_on`; empty for trials of version 0.1.0.
        train_seconds: seconds of building, training and validating the model, compilation
            included; what the search itself costs (storage, tracking, saving) is not.
    """

    number: int
    state: TrialState
    parameters: Mapping[str, int | float] = field(default_factory=dict)
    derived: Mapping[str, int | str] = field(default_factory=dict)
    value: float | None = None
    best_epoch: int | None = None
    pruned_at_epoch: int | None = None
    reason: str | None = None
    out_of_memory: bool = False
    reference: str | None = None
    retry_of: int | None = None
    curve: tuple[CurvePoint, ...] = ()
    started_ms: int | None = None
    ended_ms: int | None = None
    computed_on: Mapping[str, str] = field(default_factory=dict)
    train_seconds: float | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the trial counts towards the budget."""
        return self.state in FINISHED_STATES

    @property
    def curve_values(self) -> list[Mapping[str, float]]:
        """The metrics of every epoch, without the times: equal in equal trainings."""
        return [point.metrics for point in self.curve]

    @property
    def layer_sizes(self) -> str:
        """The widths as text, such as ``(64, 32)``; empty while unknown."""
        return str(self.derived.get("layer_sizes", ""))


def ranked(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The complete trials, the highest value first, of equals the earliest."""
    return sorted(_complete(trials), key=_place)


def best_of(trials: Iterable[TrialRecord]) -> TrialRecord | None:
    """The complete trial with the highest value (the earliest of equals), or None."""
    return min(_complete(trials), key=_place, default=None)


def _complete(trials: Iterable[TrialRecord]) -> Iterator[TrialRecord]:
    return (trial for trial in trials if trial.state == "complete" and trial.value is not None)


def _place(trial: TrialRecord) -> tuple[float, int]:
    return -(trial.value or 0.0), trial.number
