"""Makes ``docs/live-view.svg``: the view of a search, replayed from a study that was searched.

    PYTHONPATH=. python docs/live_view.py studies/tutorial.db

Trials, parameters and curves are those of the study. The moment is put together from them: all but
the last two finished trials have ended, these two are two thirds through, and the clock shows what
the trials took, shared among the workers. It is no recording of a terminal.
"""

import io
import sys
from pathlib import Path

import optuna
from rich.console import Console

from search.display.search_view import SearchView
from search.display.tally import SearchTally
from search.records.events import EpochFinished
from search.records.trials import TrialRecord
from search.storage.trials import records

PICTURE = Path(__file__).with_name("live-view.svg")
COLUMNS, ROWS = 92, 24
EPOCHS, WORKERS = 30, 2


def at_that_moment(trials: list[TrialRecord]) -> SearchTally:
    """The tally of a search for these trials; its clock shows what they took."""
    seconds = [0.0]
    tally = SearchTally(len(trials), EPOCHS, [], workers=WORKERS, clock=lambda: seconds[0])
    for trial in trials[:-WORKERS]:
        seconds[0] += (trial.train_seconds or 0.0) / WORKERS
        tally.finish(trial)
    for trial in trials[-WORKERS:]:
        tally.start(trial)
        seconds[0] += 1
        for point in trial.curve[: max(len(trial.curve) * 2 // 3, 1)]:
            tally.hear(EpochFinished(trial.number, point))
    return tally


def main() -> None:
    """Draws the picture of the study whose database is named."""
    storage = f"sqlite:///{sys.argv[1]}"
    [name] = optuna.get_all_study_names(storage)
    ended = [
        trial
        for trial in records(optuna.load_study(storage=storage, study_name=name))
        if trial.is_finished
    ]
    places = {
        "study": f"studies/{name}.db",
        "towers": f"studies/{name}/",
        "MLflow": "mlruns/mlflow.db",
    }
    console = Console(
        file=io.StringIO(),
        record=True,
        width=COLUMNS,
        height=ROWS,
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(SearchView(at_that_moment(ended), name=name, places=places))
    console.save_svg(str(PICTURE), title=f"python -m search.run --study {name} --workers {WORKERS}")


if __name__ == "__main__":
    main()
