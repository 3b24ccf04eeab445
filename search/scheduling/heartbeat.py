"""Signs of life: a worker gives them for its trial, and watches those of the others.

A sign is a counter among the trial's attributes. Whoever sees it stand still for the grace period
takes the worker for dead, see :mod:`search.scheduling.watch`.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Self

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from search.records.errors import StorageLostError
from search.scheduling.watch import BEATS_IN_GRACE, GRACE_SECONDS, Watch
from search.storage.attributes import BEAT


class Pulse:
    """Beats and watches in a thread of its own, entered for as long as a worker works.

    Args:
        study: that is searched.
        grace_seconds: how long a worker may be silent.
        on_look: told how all trials stand, after every look.
    """

    def __init__(
        self,
        study: optuna.Study,
        *,
        grace_seconds: float = GRACE_SECONDS,
        on_look: Callable[[Sequence[FrozenTrial]], None] = lambda _trials: None,
    ) -> None:
        self.silent: Collection[int] = frozenset()
        self._study = study
        self._interval = grace_seconds / BEATS_IN_GRACE
        self._watch: Watch[int] = Watch(grace_seconds, longest_step=2 * self._interval)
        self._on_look = on_look
        self._trial_id: int | None = None
        self._beats = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the thread; one that waits for a storage that is away is left to itself."""
        self._is_over.set()
        self._thread.join(timeout=self._interval)

    @contextmanager
    def beating(self, trial: optuna.Trial) -> Iterator[None]:
        """Gives signs of life for a trial."""
        self._trial_id = trial._trial_id
        try:
            yield
        finally:
            self._trial_id = None

    def _go_on(self) -> None:
        while not self._is_over.wait(self._interval):
            with suppress(StorageLostError):  # the search finds out by itself
                self._beat()
                self._look()

    def _beat(self) -> None:
        trial_id = self._trial_id
        if trial_id is None:
            return
        self._beats += 1
        with suppress(UpdateFinishedTrialError):  # the trial is over
            self._study._storage.set_trial_user_attr(trial_id, BEAT, self._beats)

    def _look(self) -> None:
        trials = self._study.get_trials(deepcopy=False)
        beats = {
            trial.number: trial.user_attrs.get(BEAT, 0)
            for trial in trials
            if trial.state == TrialState.RUNNING
        }
        self.silent = self._watch.look(beats, time.monotonic())
        self._on_look(trials)
