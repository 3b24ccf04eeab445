"""A search in plain lines, one a trial: for pipes and log files."""

from collections.abc import Callable, Iterable

from search.events import TrialEvent, TrialFinished
from search.progress import Progress
from search.tally import Tally
from search.trial_words import trial_line
from search.trials import TrialRecord


class PlainProgress(Progress):
    """One plain line a trial.

    Args:
        say: prints a line.
        tally: of the search.
    """

    def __init__(self, say: Callable[[str], None], tally: Tally) -> None:
        self._say = say
        self._tally = tally

    def look(self, trials: Iterable[TrialRecord]) -> None:
        """Counts what others finished."""
        self._tally.look(trials)

    def hear(self, event: TrialEvent) -> None:
        """Prints how a trial ended, and how far the study is."""
        if not isinstance(event, TrialFinished):
            return
        self._tally.hear(event)
        best = self._tally.best
        so_far = f"{self._tally.finished}/{self._tally.target}"
        if best is not None:
            so_far += f", best {best.value:.4f} (trial {best.number})"
        self._say(f"{trial_line(event.trial)}  [{so_far}]")
