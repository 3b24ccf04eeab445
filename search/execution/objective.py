"""One trial: its configuration trained, its curve kept, its value."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

import jax
import keras
import optuna
from optuna.exceptions import UpdateFinishedTrialError

from deeprec.config import ModelConfig, TrainingConfig
from deeprec.data.dataset import TrainingData
from deeprec.data.tables import FeatureTable
from deeprec.errors import DivergedError
from deeprec.model.towers import parameter_count
from deeprec.training.device_data import DeviceData
from deeprec.training.train import train_new
from search.config.space import Configuration
from search.config.study import StudySpec
from search.execution.runtime import computed_on
from search.records.errors import StorageLostError
from search.records.events import EpochFinished, Hooks, TrialStarted
from search.records.trials import CurvePoint, objective_of
from search.scheduling.next_trial import place_of
from search.scheduling.seeds import derive_seed
from search.storage.attributes import COMPUTED_ON, CURVE, DERIVED, TRAIN_SECONDS
from search.storage.towers import save_towers
from search.storage.trials import curve_to_json, record_of


class Stopwatch:
    """Adds up time."""

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


class Objective:
    """Trains the configuration of a trial; its value is the best validated accuracy.

    The objective is given training and validation rows; there is no way from them to the test rows.

    The towers of each new best trial are saved.
    """

    def __init__(
        self, spec: StudySpec, data: TrainingData, towers_folder: Path, hooks: Hooks
    ) -> None:
        self.spec = spec
        self.data = data
        self.device_data = DeviceData(data)
        self.towers_folder = towers_folder
        self.hooks = hooks

    def __call__(self, trial: optuna.Trial, configuration: Configuration) -> float:
        """Runs the trial; the best validated objective over its epochs, in 0..1.

        Raises:
            optuna.TrialPruned: the pruner gave it up.
            DivergedError: the training diverged, with its seed or with another.
            KeyboardInterrupt: it was asked to stop.
            UpdateFinishedTrialError: it was closed by others, who took this process for dead.
            StorageLostError: the study's database is lost.
            OSError: its towers could not be saved.
        """
        watch = Stopwatch()
        try:
            return self._run(trial, configuration, watch)
        finally:
            with watch.running():
                free_memory()
            with suppress(StorageLostError, UpdateFinishedTrialError):
                trial.set_user_attr(TRAIN_SECONDS, round(watch.seconds, 3))

    def _run(self, trial: optuna.Trial, configuration: Configuration, watch: Stopwatch) -> float:
        seed = trial_seed(self.spec.study.seed, trial)
        model, config = configuration.model_config(), configuration.training_config(self.spec, seed)
        derived = derived_parameters(model, self.data.users, self.data.movies, seed)
        trial.set_user_attr(DERIVED, derived)
        trial.set_user_attr(COMPUTED_ON, computed_on())
        self.hooks.emit(TrialStarted(record_of(_frozen(trial))))
        seam = _Seam(trial, self.spec.training.epochs, self.hooks, watch)
        with seam, watch.running():
            trained, result = train_new(model, self.device_data, config, on_epoch=seam.on_epoch)
        value = result.best_accuracy
        assert value is not None, "a trial always has validation rows"
        if _leads(trial, value):
            with watch.running():
                self._check_stability(model, config)
            # Before the value is stored: a kill in between loses the value, never the towers.
            save_towers(trained, self.towers_folder, trial.number)
        return value

    def _check_stability(self, model: ModelConfig, config: TrainingConfig) -> None:
        """DivergedError where the training diverges, started with other seeds."""
        for number in range(1, STABILITY_SEEDS + 1):
            seed = derive_seed(config.seed, "stability", number)
            try:
                train_new(model, self.device_data, replace(config, epochs=1, seed=seed))
            except DivergedError as error:
                raise DivergedError(f"with another seed (check {number}), {error}") from error


class _Seam:
    """What the search does after an epoch: keep the curve, emit it, stop, report, prune.

    Entered while the trial trains. When it is left, however that ends, the curve is stored.
    """

    def __init__(self, trial: optuna.Trial, epochs: int, hooks: Hooks, watch: Stopwatch) -> None:
        self.trial = trial
        self.epochs = epochs
        self.hooks = hooks
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
        value = objective_of(metrics)
        if value is not None and time.monotonic() - self._stored_at >= STORE_EVERY_S:
            self._store()
        self.hooks.emit(EpochFinished(self.trial.number, point))
        if reason := self.hooks.stop_reason():
            raise KeyboardInterrupt(reason)
        if value is not None:
            self.trial.report(value, step=epoch)
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
    model: ModelConfig, users: FeatureTable, movies: FeatureTable, seed: int
) -> dict[str, int | str]:
    """What follows from the sampled parameters and is worth a column beside them."""
    count = sum(parameter_count(table.schema, model) for table in (users, movies))
    return {"layer_sizes": str(model.layer_sizes), "parameter_count": count, "seed": seed}


def _leads(trial: optuna.Trial, value: float) -> bool:
    complete = trial.study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    return all(other.value is None or value > other.value for other in complete)


def _frozen(trial: optuna.Trial) -> optuna.trial.FrozenTrial:
    return trial.study.get_trials(deepcopy=False)[trial.number]


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
