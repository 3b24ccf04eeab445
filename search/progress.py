"""Whoever shows a search: a watcher of its trials, of which there are three kinds."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from search.trials import CurvePoint, TrialRecord


class Progress:
    """Shows nothing. :mod:`search.plain` shows a line a trial, :mod:`search.live` a live view."""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Entered for as long as the trials run."""
        yield

    def look(self, trials: Iterable[TrialRecord]) -> None:
        """Takes in how all trials stand, those of other processes included."""

    def trial_started(self, trial: TrialRecord) -> None:
        """A trial has its configuration and begins to train."""

    def epoch_finished(self, number: int, point: CurvePoint) -> None:
        """Trial ``number`` has trained one more epoch."""

    def trial_finished(self, trial: TrialRecord, towers: Path | None) -> None:
        """A trial is over."""
