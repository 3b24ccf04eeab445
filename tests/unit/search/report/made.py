"""Made-up studies in temporary databases, as a search would leave them."""

import math
import random
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.trial import TrialState

from search.config.addresses import NextCommands
from search.config.reading import load_spec
from search.config.space import Configuration, common_distributions, parameters_of
from search.config.study import StudySpec
from search.report.facts import Facts, gather
from search.report.page import page
from search.report.writing import write_page
from search.storage.database import Database
from search.storage.results import Ledger
from search.storage.study import close_study, open_study
from tests.unit.search.sample_records import START_MS


def commands(study: str) -> NextCommands:
    """What to do next with a study of that name."""
    names = {"search": "run", "retrain": "retrain", "sync": "sync", "report": "report"}
    found = {name: f"python -m search.{each} --study {study}" for name, each in names.items()}
    return NextCommands(
        compare="mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db",
        more=f"{found['search']} --trials 100",
        recommend="python -m search.recommend 42",
        **found,
    )


COMMANDS = commands("made")

FILE = """
[study]
description = "Made up, for tests"
seed = 3

[pruner]
name = "median"
startup_trials = 5
warmup_epochs = 10
"""


def made_spec(folder: Path, text: str = FILE, name: str = "made") -> StudySpec:
    file = folder / f"{name}.toml"
    file.write_text(text, encoding="utf-8")
    return load_spec(str(file), folders=[])


class Made:
    """A study in a database of its own, without trials at first; closed when it is left.

    Args:
        folder: of its file and its database.
        text: of the study file.
        in_memory: whether it leaves its database, where to add a trial takes a while.
    """

    def __init__(self, folder: Path, text: str = FILE, *, in_memory: bool = False) -> None:
        self.spec = made_spec(folder, text)
        self.study = open_study(Database.in_folder(folder, "made"), self.spec, "f" * 64, "identity")
        if in_memory:
            self.study = held_in_memory(self.study)
        self.ledger = Ledger(self.study)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        close_study(self.study)

    @property
    def facts(self) -> Facts:
        return gather(self.study, self.spec, lambda _finished: COMMANDS)

    def write_report(self, path: Path) -> Path:
        write_page(page(self.facts), path)
        return path

    def add(
        self,
        *,
        layers: tuple[int, ...] = (64, 32),
        embedding: int = 32,
        rate: float = 0.05,
        top: float = 0.3,
        epochs: int = 30,
        state: TrialState = TrialState.COMPLETE,
        further: tuple[float, ...] = (),
        **attributes: Any,
    ) -> None:
        """Adds a trial whose accuracy rises to ``top`` at its last epoch, 0.1 s an epoch.

        ``further`` is what Optuna is told of other objectives.
        """
        configuration = Configuration(
            layer_sizes=layers, values={"embedding_dimension": embedding, "learning_rate": rate}
        )
        width = optuna.distributions.IntDistribution(*self.spec.space.width.exponents)
        parameters = parameters_of(configuration)
        known = common_distributions(self.spec.space)
        failed = state == TrialState.FAIL
        count = 1000 * sum(layers) * embedding
        derived = {"layer_sizes": str(layers), "parameter_count": count, "seed": 1}
        self.study.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=None if failed else [top, *further],
                params=parameters,
                distributions={name: known.get(name, width) for name in parameters},
                user_attrs={
                    "curve": [] if failed else curve(epochs, top),
                    "derived": derived,
                    "train_seconds": 0.1 * epochs,
                    **attributes,
                },
            )
        )

    def fill(self, count: int, seed: int = 0) -> None:
        """Adds ``count`` trials drawn at random: a third of them pruned, a few failed."""
        draw = random.Random(seed)
        widths = self.spec.space.width.values
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        for number in range(count):
            layers = sorted(draw.choices(widths, k=draw.randint(1, 4)), reverse=True)
            [state] = draw.choices(states, weights=[60, 37, 3])
            attributes: dict[str, Any] = {}
            if state == TrialState.FAIL:
                attributes["reason"] = "train_loss is not finite at epoch 3"
            if number == 0:
                attributes["reference"] = "tutorial (32,)"
            self.add(
                layers=tuple(layers),
                embedding=draw.choice(self.spec.space.embedding_dimension.values),
                rate=math.exp(draw.uniform(math.log(0.005), 0)),
                top=round(draw.uniform(0.05, 0.36), 5),
                epochs=draw.choice((10, 15, 20)) if state == TrialState.PRUNED else 30,
                state=state,
                **attributes,
            )

    def keep_references(self) -> None:
        """References as a search measures them, and a re-training on test rows as well."""
        for split, part in (("validation", "val"), ("test", "test")):
            kept: dict[str, Any] = {}
            for name, value in {
                "popularity": 0.4353,
                "ease": 0.5103,
                "ease_unseen": 0.4171,
            }.items():
                metrics = {"top_100_accuracy": value, "recall_at_10": value / 3}
                metrics = {f"{part}_{metric}": each for metric, each in metrics.items()}
                kept[name] = {"parameters": {}, "metrics": metrics, "measured_ms": START_MS}
            self.ledger.keep(f"references:{split}", kept)

    def keep_confirmation(self, number: int, other: int) -> None:
        """A confirmation of two trials and the tutorial's model with three seeds, and its test."""
        of_all = {f"trial-{number:04d}": 0.33, f"trial-{other:04d}": 0.30, "tutorial": 0.28}
        for key, first in of_all.items():
            for seed in range(3):
                accuracy = round(first + seed / 100, 2)
                kept = {"seed": seed, "seconds": 0.5, "val_top_100_accuracy": accuracy}
                self.ledger.keep(f"validation:{key}:25:{seed}", kept)
        for seed, value in enumerate((0.32, 0.33, 0.34)):
            self.ledger.keep(f"test:trial-{number:04d}:25:{seed}", _test(number, seed, value))
        self.ledger.keep(f"confirmation:{number}", confirmed(number, START_MS))

    def keep_slices(self, users: int) -> None:
        """The winner's test and the references' by two slices; of the second popularity is better.

        ``users`` is how many the second has.
        """
        self.ledger.keep("slices:test", {"known_users": 500, "region:north": users})
        for name, kept in self.ledger.starting_with("test:").items():
            self.ledger.keep(f"test:{name}", _in_parts(kept, known_users=0.5, north=0.2))
        tested = self.ledger.get("references:test") or {}
        parts = {name: _in_parts(each, known_users=0.4, north=0.3) for name, each in tested.items()}
        self.ledger.keep("references:test", parts)


def _in_parts(kept: dict[str, Any], *, known_users: float, north: float) -> dict[str, Any]:
    objective = "test_top_100_accuracy"
    parts = {f"{objective}_known_users": known_users, f"{objective}_region:north": north}
    return {**kept, "metrics": {**kept["metrics"], **parts}}


def held_in_memory(stored: optuna.Study) -> optuna.Study:
    """A study without trials as it is stored, without its database."""
    study = optuna.create_study(study_name=stored.study_name, direction=stored.direction)
    for name, value in stored.user_attrs.items():
        study.set_user_attr(name, value)
    close_study(stored)
    return study


def confirmed(number: int, moment_ms: int) -> dict[str, Any]:
    """What a confirmation found, as the ledger holds it."""
    found = {"trial": number, "name": f"trial {number}", "metrics": {}, "confirmed_ms": moment_ms}
    return found | {"lines": ["It holds over its seeds."]}


def curve(epochs: int, top: float) -> list[list[Any]]:
    """A curve as the storage holds it, validated every five epochs."""
    points = []
    for epoch in range(1, epochs + 1):
        metrics = {"train_loss": round(0.1 + 1 / epoch, 5)}
        if epoch % 5 == 0:
            metrics["val_loss"] = round(0.2 + 1 / epoch, 5)
            rise = (1 - math.exp(-epoch / 8)) / (1 - math.exp(-epochs / 8))
            metrics["val_top_100_accuracy"] = top * rise
        points.append([epoch, START_MS + 100 * epoch, metrics])
    return points


def _test(number: int, seed: int, value: float) -> dict[str, Any]:
    metrics = {"test_top_100_accuracy": value, "test_top_100_accuracy_unseen": value + 0.1}
    metrics |= {"test_recall_at_10": 0.1, "test_ndcg_at_10": 0.2}
    kept = {"trial": number, "parameters": {"depth": 1}, "derived": {"layer_sizes": "(32,)"}}
    kept |= {"epochs": 25, "seed": seed, "curve": [], "metrics": metrics}
    return kept | {"started_ms": START_MS, "ended_ms": START_MS + 1000}
