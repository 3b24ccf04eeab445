"""Made-up studies in temporary databases, as a search would leave them."""

import math
import random
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from search.config.next_commands import NextCommands
from search.config.space import Configuration, common_distributions, parameters_of
from search.config.study import StudySpec, load_spec
from search.report.facts import Facts, gather
from search.report.writing import write_page
from search.storage.results import Ledger
from search.storage.study import open_study
from tests.unit.search.sample_records import START_MS

COMMANDS = NextCommands(
    compare="mlflow ui",
    search="python -m search.run --study made",
    retrain="python -m search.retrain --study made",
    more="python -m search.run --study made --trials 100",
    sync="python -m search.sync --study made",
    report="python -m search.report --study made",
    recommend="python -m search.recommend 42",
)

FILE = """
[study]
description = "Made up, for tests"
trials = 50
seed = 3

[training]
epochs = 30
validate_every = 5

[space]
depth = { low = 1, high = 4 }
width = { low = 16, high = 256 }
embedding_dimension = { low = 16, high = 128 }
learning_rate = { low = 0.005, high = 1.0 }

[pruner]
name = "median"
startup_trials = 5
warmup_epochs = 10
"""


def made_spec(folder: Path, text: str = FILE, name: str = "made") -> StudySpec:
    """The study file of the made-up study."""
    file = folder / f"{name}.toml"
    file.write_text(text, encoding="utf-8")
    return load_spec(str(file), folders=[])


def made_study(folder: Path, spec: StudySpec) -> optuna.Study:
    """A new study in a database of its own, without trials."""
    return open_study(f"sqlite:///{folder}/{spec.name}.db", spec, "f" * 64, "identity")


def add_trial(
    study: optuna.Study,
    spec: StudySpec,
    *,
    layers: tuple[int, ...] = (64, 32),
    embedding: int = 32,
    rate: float = 0.05,
    top: float = 0.3,
    epochs: int = 30,
    state: TrialState = TrialState.COMPLETE,
    seconds: float | None = None,
    **attributes: Any,
) -> None:
    """Adds a trial whose accuracy rises to ``top`` at its last epoch, 0.1 s an epoch."""
    configuration = Configuration(
        layer_sizes=layers, values={"embedding_dimension": embedding, "learning_rate": rate}
    )
    width = optuna.distributions.IntDistribution(*spec.space.width.exponents)
    parameters = parameters_of(configuration)
    distributions = {name: common_distributions(spec.space).get(name, width) for name in parameters}
    failed = state == TrialState.FAIL
    study.add_trial(
        optuna.trial.create_trial(
            state=state,
            value=None if failed else top,
            params=parameters,
            distributions=distributions,
            user_attrs={
                "curve": [] if failed else curve(epochs, top),
                "derived": {
                    "layer_sizes": str(layers),
                    "parameter_count": 1000 * sum(layers) * embedding,
                    "seed": 1,
                },
                "train_seconds": 0.1 * epochs if seconds is None else seconds,
                **attributes,
            },
        )
    )


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


def fill(study: optuna.Study, spec: StudySpec, count: int, seed: int = 0) -> None:
    """Adds ``count`` trials drawn at random: a third of them pruned, a few failed."""
    draw = random.Random(seed)
    widths = spec.space.width.values
    for number in range(count):
        layers = sorted(draw.choices(widths, k=draw.randint(1, 4)), reverse=True)
        state = draw.choices(
            [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL], weights=[60, 37, 3]
        )[0]
        attributes: dict[str, Any] = {}
        if state == TrialState.FAIL:
            attributes["reason"] = "train_loss is not finite at epoch 3"
        if number == 0:
            attributes["reference"] = "tutorial (32,)"
        add_trial(
            study,
            spec,
            layers=tuple(layers),
            embedding=draw.choice(spec.space.embedding_dimension.values),
            rate=math.exp(draw.uniform(math.log(0.005), 0)),
            top=round(draw.uniform(0.05, 0.36), 5),
            epochs=draw.choice((10, 15, 20)) if state == TrialState.PRUNED else 30,
            state=state,
            **attributes,
        )


def keep_references(study: optuna.Study) -> None:
    """References as a search measures them, and a re-training on test rows as well."""
    ledger = Ledger(study)
    for split in ("validation", "test"):
        part = {"validation": "val", "test": "test"}[split]
        kept = {
            name: {
                "parameters": {},
                "metrics": {f"{part}_top_100_accuracy": value, f"{part}_recall_at_10": value / 3},
                "measured_ms": START_MS,
            }
            for name, value in (("popularity", 0.4353), ("ease", 0.5103), ("ease_unseen", 0.4171))
        }
        ledger.keep(f"references:{split}", kept)


def keep_confirmation_of(study: optuna.Study, number: int, other: int) -> None:
    """A confirmation of two trials and the tutorial's model with three seeds, and its test."""
    ledger = Ledger(study)
    for key, values in (
        (f"trial-{number:04d}", (0.33, 0.34, 0.35)),
        (f"trial-{other:04d}", (0.30, 0.31, 0.32)),
        ("tutorial", (0.28, 0.29, 0.30)),
    ):
        for seed, value in enumerate(values):
            kept = {"seed": seed, "seconds": 0.5, "val_top_100_accuracy": value}
            ledger.keep(f"validation:{key}:25:{seed}", kept)
    for seed, value in enumerate((0.32, 0.33, 0.34)):
        ledger.keep(f"test:trial-{number:04d}:25:{seed}", _test(number, seed, value))
    record = {
        "trial": number,
        "name": f"trial {number}",
        "metrics": {},
        "lines": ["It holds over its seeds."],
        "confirmed_ms": START_MS,
    }
    ledger.keep(f"confirmation:{number}", record)


def _test(number: int, seed: int, value: float) -> dict[str, Any]:
    metrics = {
        "test_top_100_accuracy": value,
        "test_top_100_accuracy_unseen": value + 0.1,
        "test_recall_at_10": 0.1,
        "test_ndcg_at_10": 0.2,
    }
    return {
        "trial": number,
        "parameters": {"depth": 1},
        "derived": {"layer_sizes": "(32,)"},
        "epochs": 25,
        "seed": seed,
        "curve": [],
        "metrics": metrics,
        "started_ms": START_MS,
        "ended_ms": START_MS + 1000,
    }


def facts_of(study: optuna.Study, spec: StudySpec) -> Facts:
    """What a report knows about it."""
    return gather(study, spec, lambda _finished: COMMANDS)


def write_report(study: optuna.Study, spec: StudySpec, path: Path) -> Path:
    """The report of a study as a page."""
    return write_page(gather(study, spec, lambda _finished: COMMANDS), path)
