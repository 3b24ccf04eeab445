"""The default study as a user runs it first: 50 trials with pruning, nothing compiled before."""

from typing import Any

import optuna

from tests.benchmarks.folders import fresh_folder
from tests.benchmarks.results import Quantity, Result

AT_MOST = 300.0
STUDY = "tutorial"


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """The whole command, after set-up and data."""
    return [_measure(workers, quick=quick) for workers in (1, 2)]


def _measure(workers: int, *, quick: bool) -> dict[str, Any]:
    options = ["--workers", str(workers), *(["--trials", "2"] if quick else [])]
    with fresh_folder() as folder:
        seconds = folder.time("search.run", "--study", STUDY, "--quiet", *options)
        study = optuna.load_study(
            storage=f"sqlite:///{folder.path / 'studies' / STUDY}.db", study_name=STUDY
        )
        states = [trial.state.name.lower() for trial in study.trials]
    return Result.limited(
        f"the default study, {len(states)} trials with pruning, workers: {workers}",
        Quantity(value=seconds, unit="s"),
        at_most=AT_MOST,
        note=f"{states.count('complete')} complete, {states.count('pruned')} pruned; "
        f"best validation accuracy {study.best_value:.4f}",
    ).to_json()
