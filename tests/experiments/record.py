"""Trains configurations of a study, each to its last epoch, and keeps their validation curves.

``python -m tests.experiments record ranking`` adds to ``curves/ranking.jsonl`` what is missing:
configurations drawn at random, further ones that TPE chooses after those (so that the good part of
the space is covered more densely), and some of both once more with other seeds. All are trained and
validated as the study's trials are; nothing is pruned.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from search.config.addresses import PROJECT
from search.config.reading import load_spec
from search.config.space import suggest
from search.config.study import StudySpec
from search.scheduling.samplers import derive_seed
from tests.experiments.recorded import Recorded, distinct, file_of, read


def main(given: list[str]) -> None:
    """Records what the arguments ask for and the file does not hold yet."""
    parser = argparse.ArgumentParser(prog="python -m tests.experiments record", description=__doc__)
    parser.add_argument("study", help="of the folder studies/")
    parser.add_argument("--random", type=int, default=160, help="configurations drawn at random")
    parser.add_argument("--tpe", type=int, default=80, help="further ones that TPE chooses")
    parser.add_argument("--again", type=int, default=60, help="trained once more, another seed")
    arguments = parser.parse_args(given)
    spec = load_spec(arguments.study, folders=(PROJECT / "studies",))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trainer = Trainer(spec)
    for parameters, seed in plan(spec, arguments.random, arguments.tpe, arguments.again):
        recorded = trainer.train(parameters, seed)
        with file_of(spec.name).open("a", encoding="utf-8") as file:
            file.write(recorded.to_json() + "\n")


def plan(
    spec: StudySpec, at_random: int, by_tpe: int, again: int
) -> Iterator[tuple[Mapping[str, Any], int]]:
    """What is to be trained next, with which seed; the file is read again each time."""
    while (place := len(held := distinct(read(spec.name)))) < at_random + by_tpe:
        yield _drawn(spec, held, place, at_random), derive_seed(spec.study.seed, "record", place)
    while (number := len(read(spec.name)) - len(held)) < again:
        best_first = sorted(held, key=lambda each: -each.best)
        # By turns one of the best and one of all, evenly.
        place = number // 2 if number % 2 else number * len(held) // again
        each = best_first[place]
        yield each.parameters, derive_seed(each.seed, "again", number)


def _drawn(spec: StudySpec, held: list[Recorded], place: int, at_random: int) -> Mapping[str, Any]:
    seed = derive_seed(spec.study.seed, "recorded configuration", place)
    sampler: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler(seed=seed)
    if place >= at_random:
        sampler = optuna.samplers.TPESampler(n_startup_trials=0, multivariate=False, seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials([_as_trial(spec, each) for each in held])
    trial = study.ask()
    suggest(trial, spec.space)
    return trial.params


def _as_trial(spec: StudySpec, recorded: Recorded) -> FrozenTrial:
    fixed = FixedTrial(dict(recorded.parameters))
    suggest(fixed, spec.space)
    return optuna.trial.create_trial(
        params=dict(recorded.parameters),
        distributions=fixed.distributions,
        value=recorded.best,
        state=TrialState.COMPLETE,
    )


class Trainer:
    """Trains configurations of a study as its trials are trained."""

    def __init__(self, spec: StudySpec) -> None:
        from search.execution.runtime import prepare_runtime

        prepare_runtime()
        from deeprec.training.device_data import DeviceData
        from search.execution.data import load_data

        self.spec = spec
        self.data = DeviceData(load_data(spec, None).of_trials)

    def train(self, parameters: Mapping[str, Any], seed: int) -> Recorded:
        """Trains to the last epoch, or to where the training diverges."""
        from deeprec.errors import DivergedError
        from deeprec.training.train import train_new
        from search.execution.objective import free_memory

        values: list[float] = []

        def keep(_epoch: int, metrics: Mapping[str, float]) -> None:
            values.extend(v for name, v in metrics.items() if name == self.spec.objective_metric)

        configuration = suggest(FixedTrial(dict(parameters)), self.spec.space)
        config = configuration.training_config(self.spec, seed)
        diverged, started = False, time.perf_counter()
        try:
            train_new(configuration.model_config(), self.data, config, on_epoch=keep)
        except DivergedError:
            diverged = True
        seconds = time.perf_counter() - started
        free_memory()
        return Recorded(parameters, seed, tuple(values), diverged, round(seconds, 1))
