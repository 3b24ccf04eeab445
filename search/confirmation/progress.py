"""Whoever shows a confirmation: live in a terminal, a line a training elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from search.confirmation.contenders import Contender
from search.display.confirmation_view import ConfirmationView, Plan, Training, TrainingTally
from search.display.terminal import Screen


class ConfirmationProgress:
    """Told of every training, in this order: begun, its epochs, its result.

    A result that was kept is told without the others.

    Args:
        screen: where to show it.
        tally: of the confirmation.
        name: of the study.
    """

    def __init__(self, screen: Screen, tally: TrainingTally, *, name: str) -> None:
        self._screen = screen
        self._tally = tally
        self._view = ConfirmationView(tally, name=name)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Entered for as long as there are trainings."""
        if not self._screen.is_live:
            yield
            return
        with self._screen.showing(self._view):
            yield

    def started(self, contender: Contender, number: int, purpose: str) -> None:
        """A training begins.

        Args:
            contender: what is trained.
            number: of the seed, from 0.
            purpose: the rows it is trained on, and what for.
        """
        self._tally.start(contender.name, number, purpose, contender.training.epochs)

    def advanced(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """One more epoch is trained."""
        self._tally.advance(epoch, metrics)

    def finished(self, contender: Contender, accuracy: float | None, *, is_test: bool) -> None:
        """A result is known and kept.

        Args:
            contender: whose it is.
            accuracy: top-100 accuracy of the validation or the test rows; None if it collapsed.
            is_test: which of them.
        """
        training = self._tally.current
        seconds = self._tally.finish(contender.name, accuracy, is_test=is_test)
        if training is not None and seconds is not None:
            result = "collapsed" if accuracy is None else f"accuracy {accuracy:.4f}"
            self._say(training, f": {result}  {seconds:.1f} s")

    def made_again(self) -> None:
        """A training is over that gives no new result, but towers that were lost."""
        training, self._tally.current = self._tally.current, None
        if training is not None:
            self._say(training)

    def _say(self, training: Training, result: str = "") -> None:
        """One line a training, where no view shows it."""
        if not self._screen.is_live:
            self._screen.announce(
                f"training {training.name} with seed {training.seed + 1} for {training.epochs} "
                f"epochs: {training.purpose}{result}"
            )


def plan_of(contenders: Sequence[Contender], seeds: int) -> Plan:
    """What is trained of these contenders."""
    return Plan({each.name: each.training.epochs for each in contenders}, seeds)
