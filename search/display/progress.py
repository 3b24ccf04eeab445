"""A running search in a terminal: a view that stays in place, of any size."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from search.display.search_view import SearchView
from search.display.tally import Tally
from search.display.terminal import Screen
from search.records.events import TrialEvent, TrialFinished
from search.records.trials import TrialRecord, trial_line


class Progress:
    """Shows nothing; its subclasses show a line a trial, or a live view."""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Entered for as long as the trials run."""
        yield

    def look(self, trials: Iterable[TrialRecord]) -> None:
        """Takes in how all trials stand, those of other processes included."""

    def hear(self, event: TrialEvent) -> None:
        """Takes in what happens."""


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
