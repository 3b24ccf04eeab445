"""Studies from Python: in a notebook, whose kernel is real, and in a script."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.commands import Folder
from tests.flows.test_interruptions import rows

pytestmark = pytest.mark.data

CELLS = [
    "from search import Study\nstudy = Study('tiny')",
    "study.search(trials=1000)",
    "study.search(trials=study.trials()['state'].isin(['complete', 'pruned']).sum() + 1)",
    "study.trials()",
    "study.confirm(trial=study.report().content.confirmation.winner, seeds=2)",
    "study.report()",
    "study.recommender().recommend(1)",
    "other = Study(study.spec.model_dump() | {'study': {'name': 'other', 'trials': 1}})\n"
    "other.search()",
    "study.name, other.name, len(other.records()), len(study.records()) > 4",
]

SCRIPT = """
from search import Study

study = Study({
    "study": {"name": "mine", "trials": 2, "seed": 7},
    "training": {"epochs": 4, "validate_every": 2},
    "space": {"depth": {"low": 1, "high": 1}, "embedding_dimension": {"low": 16, "high": 16}},
    "pruner": {"name": "none"},
})
study.search(workers=2)
print(sorted(study.trials().index), study.best.state)
"""


def interrupt(client: NotebookClient, folder: Folder) -> None:
    """Presses the button of the notebook once a trial runs."""
    running = "SELECT number, state FROM trials WHERE state = 'RUNNING'"
    while not rows(folder, running):
        threading.Event().wait(0.05)
    manager: Any = client.km
    os.kill(manager.provisioner.pid, signal.SIGINT)


def said(cell: Any) -> str:
    """What a cell printed, as text."""
    return "".join(each.get("text", "") for each in cell.outputs)


def value(cell: Any) -> Any:
    """The last thing that a cell shows, by kind."""
    return cell.outputs[-1].data


@pytest.fixture(scope="module")
def notebook(confirmed: Folder, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A notebook on a confirmed study after all its cells have run, the second interrupted."""
    folder = confirmed.copy(tmp_path_factory.mktemp("notebook") / "folder")
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    cells[1].metadata["tags"] = ["raises-exception"]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(notebook, timeout=300)
    button = threading.Thread(target=interrupt, args=(client, folder), daemon=True)
    button.start()
    client.execute(cwd=str(folder.path), env=folder.environment)
    return notebook


def test_the_button_of_a_notebook_ends_a_search_tidily(notebook: Any) -> None:
    _, interrupted, resumed, *_ = notebook.cells
    [error] = [each for each in interrupted.outputs if each.output_type == "error"]
    assert (error.ename, error.evalue) == ("Interrupted", "interrupted from the keyboard")
    assert "of 1000 trials: interrupted from the keyboard" in said(interrupted)
    assert "going on with study tiny" in said(resumed)
    assert value(resumed)["text/plain"] == "Outcome(state='complete', reason='')"


def test_a_notebook_shows_trials_confirmation_report_and_titles(notebook: Any) -> None:
    trials, confirmed, report, titles = notebook.cells[3:7]
    assert "learning_rate" in value(trials)["text/html"]
    assert "What would move the test" in said(confirmed)
    assert value(report)["text/html"].startswith("<iframe srcdoc=")
    assert value(titles)["text/plain"].startswith("[Recommended(")


def test_two_studies_of_one_process_do_not_meet(notebook: Any) -> None:
    assert value(notebook.cells[-1])["text/plain"] == "('tiny', 'other', 1, True)"


def test_what_moves_is_one_output_that_is_gone_in_the_end(notebook: Any) -> None:
    moving = [
        each
        for cell in notebook.cells
        for each in cell.outputs
        if each.output_type == "display_data"
    ]
    assert moving, "there was time to see it"
    assert {each.data["text/plain"] for each in moving} == {""}


@pytest.mark.storm  # four processes that import for themselves
def test_a_script_searches_with_workers_and_a_command_goes_on(
    small_cache_home: Path, tmp_path: Path
) -> None:
    folder = Folder(tmp_path, study=None, name="mine", cache_home=small_cache_home)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder.path,
        env=folder.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[0, 1] complete"
    again = folder.search()  # by the file that Python has written
    assert "nothing is missing: study mine has 2 finished trials" in again.stdout
