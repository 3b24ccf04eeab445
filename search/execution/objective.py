"""One trial, from suggestion to value."""

import gc
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

import jax
import keras
import optuna
from optuna.exceptions import UpdateFinishedTrialError

from deeprec.config import TrainingConfig
from deeprec.data.dataset import TrainingData
from deeprec.errors import DivergedError
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_data import DeviceData
from deeprec.training.train import TrainingResult, train
from search.config.space import Configuration, suggest
from search.config.study import StudySpec
from search.execution.machine import computed_on
from search.records.errors import EnvironmentFaultError, StorageLostError
from search.records.events import EpochFinished, Listener, TrialStarted
from search.records.trials import OBJECTIVE_METRIC, CurvePoint
from search.scheduling.claim import ClaimLostError
from search.scheduling.failures import environment_fault
from search.scheduling.next_trial import place_of
from search.scheduling.seeds import derive_seed
from search.scheduling.stale import mark_interrupted
from search.storage.attributes import (
    COMPUTED_ON,
    CURVE,
    DERIVED,
    DIVERGED,
    ERROR,
    OOM,
    REASON,
    TRACEBACK,
    TRAIN_SECONDS,
)
from search.storage.towers import save_towers
from search.storage.trials import curve_to_json, record_of


class Stopwatch:
    """Adds up time.

    Args:
        clock: seconds from any origin.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = 0.0
        self._clock = clock
        self._since = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts the time inside; to be entered once at a time."""
        self._since = self._clock()
        try:
            yield
        finally:
            self.seconds += self._clock() - self._since

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the time inside out; to be entered while it is running."""
        self.seconds += self._clock() - self._since
        try:
            yield
        finally:
            self._since = self._clock()


STORE_EVERY_S = 2.0
"""Seconds between two updates of the curve of a running trial; more of it is lost by no kill."""

STABILITY_SEEDS = 5
"""A trial that would lead is started so many times more, each with another seed, for one epoch:
where a configuration diverges with some seeds only, it does so in the first epoch."""

NOT_OF_THE_TRIAL = (
    optuna.TrialPruned,
    ClaimLostError,
    StorageLostError,
    UpdateFinishedTrialError,
)
"""What ends a trial and is no failure of its configuration."""


class Objective:
    """Trains the configuration a trial suggests; its value is the best validated accuracy.

    The objective is given training and validation rows; there is no way from them to the test rows.

    Args:
        spec: the study file.
        data: the rows to train and validate on.
        towers_folder: where the towers of each new best trial are saved.
        emit: told when a trial starts and after every epoch.
        should_stop: asked after every epoch; a reason (as text) interrupts the trial there.
        on_claimed: called once the trial has all of its parameters, before anything else.
    """

    def __init__(
        self,
        spec: StudySpec,
        data: TrainingData,
        *,
        towers_folder: Path,
        emit: Listener = lambda _event: None,
        should_stop: Callable[[], str | None] = lambda: None,
        on_claimed: Callable[[optuna.Trial], None] = lambda _trial: None,
    ) -> None:
        self.spec = spec
        self.data = data
        self.device_data = DeviceData(data)
        self.towers_folder = towers_folder
        self.emit = emit
        self.should_stop = should_stop
        self.on_claimed = on_claimed

    def __call__(self, trial: optuna.Trial) -> float:
        """Runs the trial.

        Returns:
            The best validation top-100 accuracy over the validated epochs, in 0..1.

        Raises:
            optuna.TrialPruned: the pruner gave it up, or the training diverged; then the trial is
                marked so. To a sampler it is worse than any complete trial.
            KeyboardInterrupt: it was interrupted; it is marked so, to be run again.
            EnvironmentFaultError: its towers could not be saved, or the like; the same.
            UpdateFinishedTrialError: it was closed by others, who took this process for dead.
            StorageLostError: the study's database is lost.
            Exception: any other error is a failure; its reason is kept with the trial.
        """
        watch = Stopwatch()
        try:
            return self._run(trial, watch)
        except NOT_OF_THE_TRIAL:
            raise
        except KeyboardInterrupt as interrupt:
            mark_interrupted(trial.study, trial, str(interrupt) or "interrupted from the keyboard")
            raise
        except DivergedError as error:
            trial.set_user_attr(DIVERGED, True)
            trial.set_user_attr(REASON, str(error))
            raise optuna.TrialPruned(str(error)) from error
        except Exception as error:
            if reason := environment_fault(error):
                mark_interrupted(trial.study, trial, reason)
                raise EnvironmentFaultError(reason) from error
            _note_failure(trial, error)
            raise
        finally:
            with watch.running():
                free_memory()
            with suppress(StorageLostError, UpdateFinishedTrialError):
                trial.set_user_attr(TRAIN_SECONDS, round(watch.seconds, 3))

    def _run(self, trial: optuna.Trial, watch: Stopwatch) -> float:
        configuration = suggest(trial, self.spec.space)
        self.on_claimed(trial)
        seed = trial_seed(self.spec.study.seed, trial)
        with watch.running():
            model = RetrievalModel.for_tables(
                self.data.users, self.data.movies, configuration.model_config(), seed=seed
            )
        trial.set_user_attr(DERIVED, derived_parameters(configuration, model, seed))
        trial.set_user_attr(COMPUTED_ON, computed_on())
        self.emit(TrialStarted(record_of(_frozen(trial))))
        config = configuration.training_config(self.spec, seed)
        seam = _Seam(trial, self.spec.training.epochs, self.emit, self.should_stop, watch)
        with seam, watch.running():
            result = train(model, self.device_data, config, on_epoch=seam.on_epoch)
        value = _value(result)
        if _leads(trial, value):
            with watch.running():
                self._check_stability(configuration, config)
            # Before the value is told: a kill in between loses the value, never the towers.
            save_towers(model, self.towers_folder, trial.number)
        return value

    def _check_stability(self, configuration: Configuration, config: TrainingConfig) -> None:
        """Starts the training with other seeds.

        Raises:
            DivergedError: one of them diverges.
        """
        for number in range(1, STABILITY_SEEDS + 1):
            seed = derive_seed(config.seed, "stability", number)
            model = RetrievalModel.for_tables(
                self.data.users, self.data.movies, configuration.model_config(), seed=seed
            )
            try:
                train(model, self.device_data, replace(config, epochs=1, seed=seed))
            except DivergedError as error:
                raise DivergedError(f"with another seed (check {number}), {error}") from error


class _Seam:
    """What the search does after an epoch: keep the curve, emit it, stop, report, prune.

    Entered while the trial trains. When it is left, however that ends, the curve is stored.
    """

    def __init__(
        self,
        trial: optuna.Trial,
        epochs: int,
        emit: Listener,
        should_stop: Callable[[], str | None],
        watch: Stopwatch,
    ) -> None:
        self.trial = trial
        self.epochs = epochs
        self.emit = emit
        self.should_stop = should_stop
        self.watch = watch
        self.curve: list[CurvePoint] = []
        self._stored = 0
        self._stored_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._stored < len(self.curve):
            self._store()

    def on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        with self.watch.paused():
            self._on_epoch(epoch, metrics)

    def _on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        point = CurvePoint(
            epoch=epoch, timestamp_ms=round(time.time() * 1000), metrics=dict(metrics)
        )
        self.curve.append(point)
        validated = OBJECTIVE_METRIC in metrics
        if validated and time.monotonic() - self._stored_at >= STORE_EVERY_S:
            self._store()
        self.emit(EpochFinished(self.trial.number, point))
        if reason := self.should_stop():
            raise KeyboardInterrupt(reason)
        if validated:
            self.trial.report(metrics[OBJECTIVE_METRIC], step=epoch)
            # After the last epoch there is nothing left to save, and the value is known.
            if epoch < self.epochs and self.trial.should_prune():
                raise optuna.TrialPruned(f"pruned after epoch {epoch}")

    def _store(self) -> None:
        self.trial.set_user_attr(CURVE, curve_to_json(self.curve))
        self._stored, self._stored_at = len(self.curve), time.monotonic()


def trial_seed(study_seed: int, trial: optuna.Trial) -> int:
    """The seed of a trial's weights, by its place; see :mod:`search.scheduling.next_trial`."""
    trials = trial.study.get_trials(deepcopy=False)
    return derive_seed(study_seed, "weights", place_of(trials, trial.number))


def derived_parameters(
    configuration: Configuration, model: RetrievalModel, seed: int
) -> dict[str, int | str]:
    """What follows from the sampled parameters and is worth a column beside them."""
    return {
        "layer_sizes": str(configuration.layer_sizes),
        "parameter_count": model.query_model.count_params() + model.candidate_model.count_params(),
        "seed": seed,
    }


def _leads(trial: optuna.Trial, value: float) -> bool:
    """Whether the trial is better than all complete ones."""
    complete = trial.study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    return all(other.value is None or value > other.value for other in complete)


def _value(result: TrainingResult) -> float:
    assert result.best_accuracy is not None, "a trial always has validation rows"
    return result.best_accuracy


def _reason(error: Exception) -> str:
    """The error in one line; its type is named where the message alone would not tell."""
    lines = str(error).strip().splitlines()
    message = lines[0] if lines else ""
    return message if isinstance(error, ArithmeticError) else f"{type(error).__name__}: {message}"


def _note_failure(trial: optuna.Trial, error: Exception) -> None:
    trial.set_user_attr(REASON, _reason(error))
    trial.set_user_attr(TRACEBACK, traceback.format_exc(limit=-20))
    if is_out_of_memory(error):
        trial.set_user_attr(OOM, True)
    elif not isinstance(error, ArithmeticError):
        trial.set_user_attr(ERROR, type(error).__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a trial failed because its configuration needs more memory than there is."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def _frozen(trial: optuna.Trial) -> optuna.trial.FrozenTrial:
    return trial.study._storage.get_trial(trial._trial_id)  # the Trial itself cannot be read whole


def set_libraries_aside() -> None:
    """Spares what is alive from every later collection of garbage; for before the first training.

    The libraries are hundreds of thousands of objects that stay: without this, :func:`free_memory`
    looks at each of them after every training, a quarter of a second long.
    """
    if not gc.get_freeze_count():
        gc.freeze()


def free_memory() -> None:
    """Drops compiled functions and Keras's global state, so that a long study does not grow."""
    keras.utils.clear_session(free_memory=False)
    jax.clear_caches()  # type: ignore[no-untyped-call]
    gc.collect()
