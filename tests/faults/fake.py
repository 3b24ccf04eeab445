"""Searches whose trials train nothing: all else is real.

A trial's curve follows from its parameters, is reported and stored as a real one, and takes
milliseconds. Two files in the place of its towers are saved as real towers are. Environment
variables say more:

- ``FAKE_EPOCH_SECONDS``: how long an epoch takes.
- ``FAKE_HOLD=PATH``: after its first epoch a trial waits while that file exists, or until it is to
  stop.
- ``FAKE_PAUSE_SECONDS``: how long MLflow is left alone after its first failure.
- ``FAKE_DIES=NUMBER POINT``: the process that runs the trial of that number kills itself there.
  Of searches that train ``epoch EPOCH`` is a point; they then save after every validation.

``python -m tests.faults.fake search.run ARGUMENTS`` is a search, with a DESCRIPTOR instead it is
a worker. Most searches of the tests start otherwise, see :mod:`tests.warm`.
"""

import math
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import optuna

from deeprec.data.verified_files import write_folder
from search.config.space import Configuration
from search.config.study import StudySpec
from search.execution.cluster import ClusterPool
from search.execution.workers import Assignment, LocalPool
from search.records.events import EpochFinished, Hooks, TrialStarted
from search.records.trials import TUTORIAL_OBJECTIVE, CurvePoint
from search.scheduling.locks import Claim
from search.scheduling.next_trial import place_of
from search.scheduling.samplers import derive_seed
from search.storage.attributes import COMPUTED_ON, CURVE, DERIVED
from search.storage.files import (
    TOWER_FILES,
    Checkpoint,
    checkpoint_file,
    tower_folder,
    write_checkpoint,
)
from search.storage.trials import curve_to_json, record_of

Point = Literal[
    "asked", "claimed", "training", "checkpoint", "saving", "before its end", "after its end"
]
"""Where a process may die: with the claim and a trial that names no worker, with one that does and
the claim given back, in an epoch, in the middle of its second checkpoint, of its towers, before and
after its value is stored."""

POINTS: tuple[Point, ...] = get_args(Point)
EPOCH_SECONDS, HOLD, DIES = "FAKE_EPOCH_SECONDS", "FAKE_HOLD", "FAKE_DIES"
PAUSE_SECONDS = "FAKE_PAUSE_SECONDS"


def die_at(point: Point | str, number: int) -> None:
    """Ends this process as ``kill -9`` does, if it was to die here."""
    if os.environ.get(DIES) == f"{number} {point}":
        os.kill(os.getpid(), signal.SIGKILL)


class FakeObjective:
    """What a trial runs in the place of :class:`search.execution.objective.Objective`."""

    def __init__(self, spec: StudySpec, towers_folder: Path, hooks: Hooks) -> None:
        self.spec = spec
        self.towers_folder = towers_folder
        self.hooks = hooks
        self.epoch_seconds = float(os.environ.get(EPOCH_SECONDS, "0"))
        self.hold = Path(os.environ.get(HOLD, "/dev/null/none"))

    def __call__(self, trial: optuna.Trial, configuration: Configuration) -> float:
        trials = trial.study.get_trials(deepcopy=False)
        seed = derive_seed(self.spec.study.seed, "weights", place_of(trials, trial.number))
        layers = configuration.layer_sizes
        derived = {"layer_sizes": str(layers), "parameter_count": sum(layers), "seed": seed}
        trial.set_user_attr(DERIVED, derived)
        trial.set_user_attr(COMPUTED_ON, {"threads": "1"})
        self.hooks.emit(TrialStarted(record_of(trial.study.get_trials()[trial.number])))
        curve: list[CurvePoint] = []
        top = 0.3 - abs(math.log10(trial.params["learning_rate"]) + 1) / 10 + sum(layers) / 1000
        try:
            for epoch in range(1, self.spec.training.epochs + 1):
                self._train(trial, epoch, top, curve)
        finally:
            trial.set_user_attr(CURVE, curve_to_json(curve))
        value = max(point.metrics[TUTORIAL_OBJECTIVE] for point in curve)
        complete = trial.study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
        if all(value > (other.value or 0.0) for other in complete):
            towers = tower_folder(self.towers_folder, trial.number)
            write_folder(towers, partial(fill, trial))
            self.hooks.keep(towers)
        die_at("before its end", trial.number)
        return value

    def _train(self, trial: optuna.Trial, epoch: int, top: float, curve: list[CurvePoint]) -> None:
        time.sleep(self.epoch_seconds)
        while epoch > 1 and self.hold.exists() and not self.hooks.stop_reason():
            time.sleep(0.01)
        value = top * (1 - math.exp(-epoch))
        metrics = {"train_loss": 9 - value, "val_loss": 9 - value / 2, TUTORIAL_OBJECTIVE: value}
        point = CurvePoint(epoch=epoch, timestamp_ms=round(time.time() * 1000), metrics=metrics)
        curve.append(point)
        self.hooks.emit(EpochFinished(trial.number, point))
        if reason := self.hooks.stop_reason():
            raise KeyboardInterrupt(reason)
        trial.report(value, step=epoch)
        die_at("training", trial.number)
        if epoch <= 2 and os.environ.get(DIES) == f"{trial.number} checkpoint":
            self._save(trial, curve, DyingArray(trial.number) if epoch == 2 else np.zeros(9))
        if epoch < self.spec.training.epochs and trial.should_prune():
            raise optuna.TrialPruned

    def _save(self, trial: optuna.Trial, curve: list[CurvePoint], array: Any) -> None:
        file = checkpoint_file(self.towers_folder, trial.number)
        write_checkpoint(file, Checkpoint(belongs_to={}, curve=tuple(curve), arrays=[array]))


@dataclass(frozen=True)
class DyingArray:
    """Ends the process that writes it."""

    number: int  # of the trial

    def __array__(self) -> None:
        die_at("checkpoint", self.number)


def fill(trial: optuna.Trial, folder: Path) -> None:
    """Writes what is saved in the place of towers."""
    for name in TOWER_FILES:
        (folder / name).write_bytes(os.urandom(1000))
        die_at("saving", trial.number)


def dying(method: Callable[..., Any], before: Point | None, after: Point) -> Callable[..., Any]:
    """A method that is called with a trial, and has points to die at."""

    @wraps(method)
    def changed(self: object, trial: optuna.Trial, *more: Any) -> Any:
        if before is not None:
            die_at(before, trial.number)
        result = method(self, trial, *more)
        die_at(after, trial.number)
        return result

    return changed


def add_points() -> None:
    """Has this process die also where the objective is not asked."""
    setattr(Claim, "settle", dying(Claim.settle, "asked", "claimed"))  # noqa: B010
    setattr(optuna.Study, "tell", dying(optuna.Study.tell, None, "after its end"))  # noqa: B010


def train_nothing() -> None:
    """Has the search of this process, and its workers, train nothing."""
    import search.commands.search as command
    from deeprec.evaluation.references import CHOICES
    from search.tracking import circuit

    changed = {
        "Objective": lambda spec, _data, folder, hooks: FakeObjective(spec, folder, hooks),
        "LocalPool": partial(LocalPool, module="tests.faults.fake"),
        "ClusterPool": partial(ClusterPool, module="tests.faults.fake"),
        "touch_device": lambda: None,
        "BesideSearch": lambda *_arguments: nullcontext(),
    }
    for name, replacement in changed.items():
        assert hasattr(command, name)
        setattr(command, name, replacement)
    for name in CHOICES.keys() - {"popularity"}:
        del CHOICES[name]
    if PAUSE_SECONDS in os.environ:
        circuit.FIRST_PAUSE_S = float(os.environ[PAUSE_SECONDS])
    add_points()


def die_in_epochs() -> None:
    """Has trials that train die at the end of an epoch, and save after every validation before."""
    from search.execution import saving
    from search.execution.objective import _Seam

    saving.SAVE_EVERY_S, saving.LARGEST_SHARE = 0.0, math.inf
    on_epoch = _Seam.on_epoch

    def changed(seam: _Seam, epoch: int, metrics: Mapping[str, float]) -> None:
        die_at(f"epoch {epoch}", seam.trial.number)
        on_epoch(seam, epoch, metrics)

    setattr(_Seam, "on_epoch", changed)  # noqa: B010


def make_objective(assignment: Assignment, hooks: Hooks) -> FakeObjective:
    return FakeObjective(assignment.spec, assignment.towers_folder, hooks)


def main() -> int:
    if not sys.argv[1].isdigit():
        train_nothing()
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__")
    from search.execution import worker_process

    add_points()
    return worker_process.main(make_objective)


if __name__ == "__main__":
    sys.exit(main())
