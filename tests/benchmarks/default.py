"""The default study as a user runs it first: 50 trials with pruning, nothing compiled before."""

from tests.benchmarks.folders import fresh_folder
from tests.benchmarks.harness import Result

AT_MOST = 300.0


def measure(*, quick: bool) -> list[Result]:
    """The whole command, after set-up and data."""
    return [_measure(workers, quick=quick) for workers in (1, 2)]


def _measure(workers: int, *, quick: bool) -> Result:
    options = ["--workers", str(workers), *(["--trials", "2"] if quick else [])]
    with fresh_folder() as folder:
        seconds = folder.seconds("search.run", "--study", "tutorial", "--quiet", *options)
        study = folder.study("tutorial")
        states = [trial.state.name.lower() for trial in study.trials]
    return Result(
        what=f"the default study, {len(states)} trials with pruning, workers: {workers}",
        ours=seconds,
        at_most=AT_MOST,
        note=f"{states.count('complete')} complete, {states.count('pruned')} pruned; "
        f"best validation accuracy {study.best_value:.4f}",
    )
