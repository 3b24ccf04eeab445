"""What a search cost, and what pruning saved of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from search.instability import diverged_trials
from search.trials import TrialRecord


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The time that a search took.

    Attributes:
        train_seconds: building, training and validating all trials, summed over processes.
        wall_seconds: while at least one trial ran; pauses between searches are not counted.
        trained_epochs: epochs of all trials.
        saved_epochs: what pruned trials had left of a whole trial.
        saved_seconds: what those would have taken, an estimate.
        diverged_seconds: training the trials that diverged.
        confirmation_seconds: all trainings of the confirmation; None where that is unknown.
    """

    train_seconds: float
    wall_seconds: float
    trained_epochs: int
    saved_epochs: int
    saved_seconds: float
    diverged_seconds: float = 0.0
    confirmation_seconds: float | None = None

    @property
    def saved_share(self) -> float | None:
        """The share of the time that all trials would have taken unpruned, 0 to 1."""
        whole = self.train_seconds + self.saved_seconds
        return self.saved_seconds / whole if whole > 0 else None


def cost_of(
    trials: Sequence[TrialRecord], epochs: int, *, confirmation_seconds: float | None = None
) -> Cost:
    """The cost of all trials.

    Saved seconds are, for each pruned trial, the epochs it did not run times its own seconds per
    epoch: ``(epochs - run) * train_seconds / run``. Building and compiling are spread over the
    epochs that ran, so the estimate is on the high side.

    Args:
        trials: all of a study.
        epochs: of a trial that is not pruned.
        confirmation_seconds: what was spent after the search; None where that is unknown.
    """
    pruned = [trial for trial in trials if trial.state == "pruned" and trial.curve]
    return Cost(
        train_seconds=sum(trial.train_seconds or 0.0 for trial in trials),
        wall_seconds=_covered_ms(trials) / 1000,
        trained_epochs=sum(len(trial.curve) for trial in trials),
        saved_epochs=sum(epochs - len(trial.curve) for trial in pruned),
        saved_seconds=sum(
            (epochs - len(trial.curve)) * (trial.train_seconds or 0.0) / len(trial.curve)
            for trial in pruned
        ),
        diverged_seconds=sum(trial.train_seconds or 0.0 for trial in diverged_trials(trials)),
        confirmation_seconds=confirmation_seconds,
    )


def _covered_ms(trials: Iterable[TrialRecord]) -> int:
    """Milliseconds in which at least one trial that ended ran."""
    spans = sorted(
        (trial.started_ms, trial.ended_ms)
        for trial in trials
        if trial.started_ms is not None and trial.ended_ms is not None
    )
    covered, until = 0, 0
    for start, end in spans:
        covered += max(0, end - max(start, until))
        until = max(until, end)
    return covered
