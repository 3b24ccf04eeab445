"""What lifts the towers: a study's start with something changed, on validation rows alone.

``python -m tests.experiments towers STUDY half_life=14 half_life=30,dropout=0.2 ... [--seeds 3]
[--epochs 60]`` trains the first configuration that the study file enqueues, and the same with each
change of dimensions; ``together`` is no change but the mean of the scores of all seeds of the
start, a model with the embeddings of all, side by side. The test rows are not looked at.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from deeprec.data.tables import FloatArray, IntArray
from deeprec.evaluation.ranking import Score, model_scores
from deeprec.training.device_data import DeviceData
from deeprec.training.train import train_new
from search.analysis.noise import Sample, difference
from search.config.dimensions import DIMENSIONS
from search.config.reading import load_spec
from search.config.space import Configuration, enqueued_configurations
from search.config.study import StudySpec
from search.execution.data import StudyData, load_data
from search.records.results import texts_of

TOGETHER = "together"


def main(arguments: list[str]) -> None:
    """Prints a row for each change: every metric, and how the objective differs from the start."""
    parser = argparse.ArgumentParser(prog="towers", description=__doc__)
    parser.add_argument("study")
    parser.add_argument("changes", nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    given = parser.parse_args(arguments)
    spec = load_spec(given.study, folders=[Path("studies")])
    trained = Trained(spec, load_data(spec, None), given.seeds, given.epochs)
    start = trained.measured("the start", {})
    dimensions = {each.name: each for each in DIMENSIONS}
    for change in given.changes:
        if change == TOGETHER:
            trained.show("all seeds together", trained.measure([trained.together({})]), start)
            continue
        pairs = (each.split("=") for each in change.split(","))
        changes = {name: dimensions[name].parse(value) for name, value in pairs}
        trained.measured(change, changes, start)


class Trained:
    """Trains changed starts of a study with several seeds, and measures them."""

    def __init__(self, spec: StudySpec, data: StudyData, seeds: int, epochs: int) -> None:
        self.spec, self.data, self.seeds, self.epochs = spec, data, seeds, epochs
        self.start: Configuration = next(iter(enqueued_configurations(spec).values()))
        self.rows = DeviceData(data.training(data.splits.train))

    def measured(
        self, name: str, changes: Mapping[str, Any], start: Sample | None = None
    ) -> Sample:
        """The objective with each seed; every metric is printed."""
        found = self.measure([self.score(changes, seed) for seed in range(self.seeds)])
        return self.show(name, found, start)

    def score(self, changes: Mapping[str, Any], seed: int) -> Score:
        """A model trained with some changes, as a function from users to scores."""
        tried = replace(self.start, values={**self.start.values, **changes})
        config = replace(tried.training_config(self.spec, seed=seed), epochs=self.epochs)
        model, _ = train_new(tried.model_config(self.spec.model.towers), self.rows, config)
        tables = (self.data.dataset.users, self.data.dataset.movies)
        return model_scores(model, *tables, self.data.splits.train)

    def together(self, changes: Mapping[str, Any]) -> Score:
        """The mean of the scores of all seeds."""
        each = [self.score(changes, seed) for seed in range(self.seeds)]

        def score(users: IntArray) -> FloatArray:
            return np.mean([np.asarray(one(users)) for one in each], axis=0)

        return score

    def measure(self, scores: list[Score]) -> list[Any]:
        """Each of them on the validation rows."""
        splits, items = self.data.splits, self.data.dataset.movies.rows
        return [self.data.judge(one, splits.train, splits.validation, items) for one in scores]

    def show(self, name: str, found: list[Any], start: Sample | None) -> Sample:
        """Prints the means, and the difference from the start; the objective is returned."""
        objective = self.spec.objective_metric
        named = [each.named("val") for each in found]
        users = [texts_of(each.by_user, "val").get(objective) for each in found]
        sample = Sample.of([each[objective] for each in named], users)
        means = {key: np.mean([each[key] for each in named]) for key in named[0]}
        _say(f"{name}: " + ", ".join(f"{key} {value:.4f}" for key, value in means.items()))
        if start is not None:
            _say(f"  {objective}: {difference(sample.estimate, start.estimate).words}")
        return sample


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
