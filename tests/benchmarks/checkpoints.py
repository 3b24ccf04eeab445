"""What checkpoints cost: the time that a trial writes them, of all of its time.

Both are of one run: a whole trial, its study in SQLite. A large model is what has to wait longest
between two of them.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import optuna

from deeprec.data.dataset import TrainingData, default_cache_dir
from deeprec.training.programs import use_compilation_cache
from search.config.addresses import PROJECT
from search.config.reading import load_spec
from search.config.space import Configuration
from search.config.study import StudySpec
from search.execution.objective import Objective, _Seam
from search.records.events import Hooks
from tests.benchmarks.data import training_data
from tests.benchmarks.harness import Result
from tests.benchmarks.ratings import Size, make_movies, make_ratings, make_users

AT_MOST = 2.0

LARGEST: Mapping[str, Configuration] = {
    "tutorial": Configuration(
        layer_sizes=(256, 256, 256), values={"embedding_dimension": 128, "learning_rate": 0.05}
    ),
    "ranking": Configuration(
        layer_sizes=(128, 128),
        values={
            "embedding_dimension": 64,
            "learning_rate": 0.002,
            "normalize": True,
            "temperature": 0.1,
            "dropout": 0.4,
            "l2": 1e-5,
            "rating_power": 3.0,
        },
    ),
}
"""Of both studies the model with the most weights."""

LARGE = Size(ratings=200_000, users=60_000, movies=92_350)


def measure(*, quick: bool) -> list[Result]:
    """Trials of both studies, and one of a far larger catalog."""
    use_compilation_cache(default_cache_dir() / "compiled")
    data = training_data(validation=True)
    results = []
    for name, configuration in LARGEST.items():
        spec = load_spec(name, folders=(PROJECT / "studies",))
        what = f"checkpoints of a trial of {name}, {configuration.layer_sizes}"
        results.append(_measured(what, _shortened(spec, 2) if quick else spec, data, configuration))
    size = Size(ratings=2_000, users=500, movies=600) if quick else LARGE
    spec = _shortened(load_spec("tutorial", folders=(PROJECT / "studies",)), 2 if quick else 240)
    wide = replace(LARGEST["tutorial"], layer_sizes=(128,))
    what = f"the same, {size.movies:,} items and {size.users:,} users, embedding 128"
    return [*results, _measured(what, spec, _made_up(size), wide)]


def _measured(
    what: str, spec: StudySpec, data: TrainingData, configuration: Configuration
) -> Result:
    seconds: list[float] = []
    megabytes: list[float] = []
    save = _Seam._save

    def timed(seam: _Seam) -> None:
        started = time.perf_counter()
        save(seam)
        seconds.append(time.perf_counter() - started)
        megabytes.extend(file.stat().st_size / 1e6 for file in towers.glob("*.checkpoint"))

    with TemporaryDirectory() as folder, patch.object(_Seam, "_save", timed):
        towers = Path(folder, "towers")
        study = optuna.create_study(storage=f"sqlite:///{folder}/study.db", direction="maximize")
        objective = Objective(spec, data, towers, Hooks())
        started = time.perf_counter()
        objective(study.ask(), configuration)
        whole = time.perf_counter() - started
    size = f" of {megabytes[-1]:.1f} MB" if megabytes else ""
    return Result(
        what=what,
        ours=100 * sum(seconds) / whole,
        unit="%",
        at_most=AT_MOST,
        note=f"{len(seconds)} checkpoints{size} in {whole:.1f} s",
    )


def _shortened(spec: StudySpec, epochs: int) -> StudySpec:
    training = spec.training.model_copy(update={"epochs": epochs})
    return spec.model_copy(update={"training": training})


def _made_up(size: Size) -> TrainingData:
    rows = make_ratings(size)
    count = len(rows) // 20
    return TrainingData(
        users=make_users(size),
        movies=make_movies(size),
        train=rows[count:],
        validation=rows[:count],
    )
