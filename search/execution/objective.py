"""One trial: its configuration trained, its curve kept, its value."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

import jax
import keras
import optuna
from optuna.exceptions import UpdateFinishedTrialError

from deeprec import serving_costs
from deeprec.config import ModelConfig, TrainingConfig
from deeprec.data.dataset import TrainingData
from deeprec.data.tables import FeatureTable
from deeprec.errors import DivergedError
from deeprec.model.retrieval import RetrievalModel, parameter_count
from deeprec.recommender import Recommender
from deeprec.training.device_data import DeviceData
from deeprec.training.progress import Checkpoints, Progress
from deeprec.training.train import train_new
from search.config.space import Configuration
from search.config.study import StudySpec
from search.execution.runtime import computed_on
from search.execution.saving import Saver, identity_of
from search.records.errors import StorageLostError
from search.records.events import EpochFinished, Hooks, TrialStarted
from search.records.trials import CurvePoint, objective_of
from search.scheduling.next_trial import place_of
from search.scheduling.samplers import derive_seed
from search.storage.attributes import (
    COMPUTED_ON,
    COSTS,
    CURVE,
    DERIVED,
    RESUMED_AFTER,
    TRAIN_SECONDS,
)
from search.storage.files import checkpoint_file, save_towers
from search.storage.trials import curve_to_json, infeasible, record_of


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

    The towers of each new best trial are saved. What a trial costs in use is measured where the
    study limits it; one that breaks a limit that is known before the training is spared it.
    """

    def __init__(
        self, spec: StudySpec, data: TrainingData, towers_folder: Path, hooks: Hooks
    ) -> None:
        self.spec = spec
        self.limits = spec.limits.given
        self.data = data
        self.device_data = DeviceData(data)
        self.towers_folder = towers_folder
        self.hooks = hooks
        self._warned: set[str] = set()

    def __call__(
        self, trial: optuna.Trial, configuration: Configuration
    ) -> float | Sequence[float]:
        """Runs the trial; the best validated objective over its epochs, in 0..1.

        Where the study has several, all of them, at that epoch.

        Raises:
            optuna.TrialPruned: the pruner gave it up, or it breaks a limit before it is trained.
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

    def _run(
        self, trial: optuna.Trial, configuration: Configuration, watch: Stopwatch
    ) -> float | Sequence[float]:
        seed = trial_seed(self.spec.study.seed, trial)
        model = configuration.model_config(self.spec.model.towers)
        config = configuration.training_config(self.spec, seed)
        derived = derived_parameters(model, self.data.users, self.data.movies, seed)
        trial.set_user_attr(DERIVED, derived)
        trial.set_user_attr(COMPUTED_ON, computed_on())
        record = record_of(_frozen(trial), self.limits)
        self.hooks.emit(TrialStarted(record))
        self._spare(trial, model, seed)
        file = checkpoint_file(self.towers_folder, record.first_try)
        saver = Saver(
            file,
            identity_of(trial.study, model, config),
            self._warn_once,
            keep=self.hooks.keep,
            fetch=self.hooks.fetch,
        )
        seam = _Seam(trial, self.spec, self.hooks, watch, saver)
        with seam, watch.running():
            trained, result = train_new(
                model, self.device_data, config, on_epoch=seam.on_epoch, checkpoints=seam
            )
        value = result.best_accuracy
        assert value is not None, "a trial always has validation rows"
        if "milliseconds" in self.spec.measured_costs:
            took = serving_costs.milliseconds(self._served(trained))
            self._keep_cost(trial, "milliseconds", took)
        if self._leads(trial, value):
            with watch.running():
                self._check_stability(model, config)
            # Before the value is stored: a kill in between loses the value, never the towers.
            self.hooks.keep(save_towers(trained, self.towers_folder, trial.number))
        return self._values(trial, value)

    def _values(self, trial: optuna.Trial, value: float) -> float | Sequence[float]:
        """What Optuna is told: the value, or the values of all objectives."""
        further = self.spec.objectives[1:]
        if not further:
            return value
        record = record_of(_frozen(trial))
        known = [reached for name in further if (reached := record.reached(name)) is not None]
        assert len(known) == len(further), "every objective was measured"
        return [value, *known]

    def _spare(self, trial: optuna.Trial, model: ModelConfig, seed: int) -> None:
        """Measures what is known before a training; TrialPruned where a limit is broken by it."""
        reason = infeasible(_frozen(trial), self.limits)
        if reason is None and "megabytes" in self.spec.measured_costs:
            built = RetrievalModel.for_tables(self.data.users, self.data.movies, model, seed=seed)
            self._keep_cost(trial, "megabytes", serving_costs.megabytes(self._served(built)))
            reason = infeasible(_frozen(trial), self.limits)
        if reason is not None:
            raise optuna.TrialPruned(reason)

    def _served(self, model: RetrievalModel) -> Recommender:
        """The recommender that the model would be, with all rows that a trial may see."""
        names, known = self.data.names, self.data.validation
        assert names is not None, "the data of a study names its users and items"
        assert known is not None, "a trial always has validation rows"
        return Recommender.of(model, names, self.data.train.followed_by(known))

    def _keep_cost(self, trial: optuna.Trial, name: str, cost: float) -> None:
        trial.set_user_attr(COSTS, trial.user_attrs.get(COSTS, {}) | {name: round(cost, 6)})

    def _leads(self, trial: optuna.Trial, value: float) -> bool:
        """Whether the trial is within the limits, and above all complete ones that are."""
        trials = trial.study.get_trials(deepcopy=False)
        able = [each for each in trials if not infeasible(each, self.limits)]
        return any(each.number == trial.number for each in able) and all(
            value > each.values[0]
            for each in able
            if each.state == optuna.trial.TrialState.COMPLETE
        )

    def _warn_once(self, line: str) -> None:
        """Passes on a warning that every trial may have reason to give."""
        if line not in self._warned:
            self._warned.add(line)
            self.hooks.warn(line)

    def _check_stability(self, model: ModelConfig, config: TrainingConfig) -> None:
        """DivergedError where the training diverges, started with other seeds."""
        for number in range(1, STABILITY_SEEDS + 1):
            seed = derive_seed(config.seed, "stability", number)
            try:
                train_new(model, self.device_data, replace(config, epochs=1, seed=seed))
            except DivergedError as error:
                raise DivergedError(f"with another seed (check {number}), {error}") from error


class _Seam(Checkpoints):
    """What the search does after an epoch: keep the curve, emit it, stop, report, prune, save.

    Entered while the trial trains. When it is left, however that ends, the curve is stored.
    """

    def __init__(
        self, trial: optuna.Trial, spec: StudySpec, hooks: Hooks, watch: Stopwatch, saver: Saver
    ) -> None:
        self.trial = trial
        self.epochs = spec.training.epochs
        self.prunes = len(spec.objectives) == 1  # of several, Optuna takes no reports
        self.hooks = hooks
        self.watch = watch
        self.saver = saver
        self.curve: list[CurvePoint] = []
        self._stored = 0
        self._stored_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._stored < len(self.curve):
            self._store()

    def resumed(self, start: Progress) -> Progress:
        """Where the trial that this one runs again was, as its checkpoint has it."""
        with self.watch.paused():
            progress, curve = self.saver.found(start)
            if curve:
                self.trial.set_user_attr(RESUMED_AFTER, progress.epoch)
                self._replay(curve)
        return progress

    def _replay(self, curve: Sequence[CurvePoint]) -> None:
        """Takes in the epochs before the checkpoint; the pruner is asked as it was then."""
        gives_up = False
        for point in curve:
            self._note(point)
            if objective_of(point.metrics) is not None:
                gives_up = self._reported(point)
        if gives_up:  # it was about to be, when it was interrupted
            raise optuna.TrialPruned(f"pruned after epoch {curve[-1].epoch}")

    def keep(self, progress: Progress) -> None:
        """Is given the progress before each call of :meth:`on_epoch`."""
        self.saver.progress = progress

    def on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        with self.watch.paused():
            self._on_epoch(epoch, metrics)

    def _on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        point = CurvePoint(
            epoch=epoch, timestamp_ms=round(time.time() * 1000), metrics=dict(metrics)
        )
        self._note(point)
        if reason := self.hooks.stop_reason():
            self._save()
            raise KeyboardInterrupt(reason)
        if objective_of(metrics) is None:
            return
        if self._reported(point):
            raise optuna.TrialPruned(f"pruned after epoch {epoch}")
        if epoch < self.epochs and self.saver.is_due():
            self._save()

    def _note(self, point: CurvePoint) -> None:
        self.curve.append(point)
        is_validated = objective_of(point.metrics) is not None
        if is_validated and time.monotonic() - self._stored_at >= STORE_EVERY_S:
            self._store()
        self.hooks.emit(EpochFinished(self.trial.number, point))

    def _reported(self, point: CurvePoint) -> bool:
        """Whether the pruner, which is told of a validated epoch, gives the trial up."""
        if not self.prunes:
            return False
        value = objective_of(point.metrics)
        assert value is not None
        self.trial.report(value, step=point.epoch)
        # After the last epoch there is nothing left to save, and the value is known.
        return point.epoch < self.epochs and self.trial.should_prune()

    def _store(self) -> None:
        self.trial.set_user_attr(CURVE, curve_to_json(self.curve))
        self._stored, self._stored_at = len(self.curve), time.monotonic()

    def _save(self) -> None:
        """Writes the checkpoint; what was trained until then counts, also if the process dies."""
        self._store()
        self.trial.set_user_attr(TRAIN_SECONDS, round(self.watch.seconds, 3))
        self.saver.save(self.curve)


def trial_seed(study_seed: int, trial: optuna.Trial) -> int:
    """The seed of a trial's weights, by its place; see :mod:`search.scheduling.next_trial`."""
    trials = trial.study.get_trials(deepcopy=False)
    return derive_seed(study_seed, "weights", place_of(trials, trial.number))


def derived_parameters(
    model: ModelConfig, users: FeatureTable, movies: FeatureTable, seed: int
) -> dict[str, int | str]:
    """What follows from the sampled parameters and is worth a column beside them."""
    count = parameter_count(users.schema, movies.schema, model)
    return {"layer_sizes": str(model.layer_sizes), "parameter_count": count, "seed": seed}


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
