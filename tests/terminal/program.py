"""``python -m tests.terminal.program``: a made-up search that stands still once it is shown.

Its clock does not run, and nothing is drawn at random: what it shows is the same every time. It
goes on when a line comes in, and then ends like a search.
"""

import os
import subprocess
import sys
import time

from search.analysis.noise import Estimate
from search.config.addresses import NextCommands
from search.display.search_view import SearchProgress, print_summary
from search.display.tally import SearchTally
from search.display.terminal import Screen
from search.records.events import EpochFinished, TrialFinished, TrialStarted
from search.records.trials import TrialRecord, TrialState
from tests.unit.search.sample_records import curve, started, trial

PLACES = {"study": "studies/made-up.db", "towers": "studies/made-up/", "MLflow": "mlruns/mlflow.db"}
COMMANDS = NextCommands(
    compare="mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db",
    search="python -m search.run --study made-up",
    retrain="python -m search.retrain --study made-up",
    more="python -m search.run --study made-up --trials 100",
    sync="python -m search.sync --study made-up",
    report="python -m search.report --study made-up",
    recommend="python -m search.recommend 42",
)
REFERENCES = {
    name: Estimate(value)
    for name, value in {"popularity": 0.4617, "damped mean": 0.4102, "EASE": 0.5431}.items()
}
LAYERS = ((32,), (64, 32), (128, 64, 32), (256, 256, 256, 32), (16, 16))


def main() -> None:
    """Shows the view, stray lines and a warning; then, after a line of input, the summary."""
    seconds = [0.0]
    tally = SearchTally(50, 30, [], workers=4, clock=lambda: seconds[0])
    with Screen() as screen:
        progress = SearchProgress(screen, tally, name="made-up", places=PLACES)
        with progress.shown():
            for number in range(20):
                seconds[0] += 4
                progress.hear(TrialFinished(_ended(number), None))
            _run_three(progress)
            progress.look([started(trial(30)), started(trial(31))])
            _write_stray_lines()
            time.sleep(0.5)  # they come through a pipe, what follows does not
            screen.warn("MLflow: http://host:5000 cannot be reached; the search goes on without it")
            screen.announce("ready")
            sys.stdin.readline()
        print_summary(
            screen, tally.trials, references=REFERENCES, commands=COMMANDS, cautions=["made up"]
        )


def _ended(number: int) -> TrialRecord:
    state: TrialState = "failed" if number == 7 else "pruned" if number % 5 == 4 else "complete"
    epochs = 30 if state == "complete" else 15
    return trial(
        number,
        state,
        epochs=epochs,
        layers=LAYERS[number % len(LAYERS)],
        top=0.2 + 0.05 * (number % 7) / 3,
        parameters={"embedding_dimension": 16 << number % 4, "learning_rate": 0.01 * (1 + number)},
        reference="tutorial (32,)" if number == 0 else None,
    )


def _run_three(progress: SearchProgress) -> None:
    """Three of four workers train; the fourth has not started yet."""
    for number, epochs in ((20, 12), (21, 30), (22, 0)):
        progress.hear(TrialStarted(started(_ended(number))))
        for point in curve(epochs):
            progress.hear(EpochFinished(number, point))


def _write_stray_lines() -> None:
    """As native code and other processes do: not through Python's streams."""
    os.write(2, b"W0000 00:00:00.000000 1 stray.cc:1] a line of native code\n")
    time.sleep(0.1)
    os.write(1, b"stray:  10%\rstray:  50%\rstray: 100%\n")
    subprocess.run(["sh", "-c", "echo 'stray line of a child process' >&2"], check=True)
    print("stray line of Python", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
