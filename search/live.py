"""A running search in a terminal: a view that stays in place, of any size."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from search.events import TrialEvent, TrialFinished
from search.live_view import SearchView
from search.plain import PlainProgress
from search.progress import Progress
from search.screen import Screen
from search.tally import Tally
from search.trial_words import trial_line
from search.trials import TrialRecord


def make_progress(
    screen: Screen, tally: Tally, *, name: str, places: Mapping[str, str]
) -> Progress:
    """The view that fits where the output goes.

    Args:
        screen: where to show it.
        tally: of the search.
        name: of the study.
        places: where things are written, by what they are; without secrets.
    """
    if screen.quiet:
        return Progress()
    if not screen.is_live:
        return PlainProgress(screen.announce, tally)
    return LiveProgress(screen, tally, name=name, places=places)


class LiveProgress(Progress):
    """Keeps a view on the screen up to date.

    Args:
        screen: a terminal.
        tally: of the search.
        name: of the study.
        places: where things are written.
    """

    def __init__(
        self, screen: Screen, tally: Tally, *, name: str, places: Mapping[str, str]
    ) -> None:
        self._screen = screen
        self._tally = tally
        self._view = SearchView(tally, name=name, places=places)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Shows the view; the summary follows."""
        with self._screen.showing(self._view):
            yield

    def look(self, trials: Iterable[TrialRecord]) -> None:
        """Counts what others finished, and what they run."""
        self._tally.look(trials)

    def hear(self, event: TrialEvent) -> None:
        """Shows running trials; one that ends without a result says why."""
        self._tally.hear(event)
        if isinstance(event, TrialFinished) and not event.trial.is_finished:
            self._screen.announce(trial_line(event.trial))
