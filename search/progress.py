"""The display of a search, of which there are three kinds."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from search.events import TrialEvent
from search.trials import TrialRecord


class Progress:
    """Shows nothing. :mod:`search.plain` shows a line a trial, :mod:`search.live` a live view."""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Entered for as long as the trials run."""
        yield

    def look(self, trials: Iterable[TrialRecord]) -> None:
        """Takes in how all trials stand, those of other processes included."""

    def hear(self, event: TrialEvent) -> None:
        """Takes in what happens."""
