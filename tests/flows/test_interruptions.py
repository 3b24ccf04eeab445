"""Searches that are interrupted, and go on with the same command."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from search.storage.files import load_towers, tower_folder
from tests.commands import Folder
from tests.flows.conftest import FakeFolder
from tests.warm import Process

pytestmark = [pytest.mark.data, pytest.mark.faults]

WORKERS = (
    "SELECT number, worker.value_json FROM trials "
    "JOIN trial_user_attributes AS worker USING (trial_id) "
    "JOIN trial_intermediate_values USING (trial_id) "
    "WHERE state = 'RUNNING' AND worker.key = 'worker'"
)


def rows(folder: Folder, query: str) -> list[tuple[int, str]]:
    """Read without Optuna, which would join in creating the database."""
    database = folder.path / "studies" / "tiny.db"
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # not there yet, or its tables are not
        return []


def running(folder: Folder) -> dict[int, int]:
    """The trials that were validated once and still run: number -> process id of the worker."""
    return {number: int(worker.split("/")[1]) for number, worker in rows(folder, WORKERS)}


def wait_until(process: Process, condition: Callable[[], bool]) -> None:
    """Waits while a search goes on."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, f"the search ended before; it said:\n{process.said}"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_whole(folder: Folder, finished: int) -> None:
    """The study has its trials, and MLflow shows the same; nothing is left RUNNING."""
    states = [trial.state for trial in folder.trials]
    assert sum(state in ("complete", "pruned") for state in states) == finished
    assert [trial.number for trial in folder.trials] == list(range(len(states)))
    assert not {"running", "waiting"} & set(states)
    runs = folder.runs("trial")
    assert [run.data.tags["deeprec.state"] for run in runs] == states
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED", "FAILED"}
    assert [run.info.status for run in folder.runs("study")] == ["FINISHED"]


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [(signal.SIGINT, 130, "interrupted from the keyboard"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_records_the_trial_and_its_configuration_runs_first(
    fake: FakeFolder, number: signal.Signals, code: int, reason: str
) -> None:
    fake.hold()
    process = fake.start("search.run", "--study", "tiny", "--trials", "3")
    wait_until(process, lambda: bool(running(fake)))
    os.kill(process.pid, number)
    assert process.wait(60) == code, process.said
    interrupted = fake.trials[-1]
    assert (interrupted.state, interrupted.reason) == ("interrupted", reason)
    assert fake.runs("trial")[-1].info.status == "KILLED"
    assert fake.runs("study")[0].info.status == "KILLED"

    fake.release()
    fake.search("--trials", "3")
    assert fake.trials[interrupted.number + 1].retry_of == interrupted.number
    assert_whole(fake, 3)


def test_ctrl_c_twice_ends_at_once_in_the_middle_of_an_epoch(real: Folder) -> None:
    # 70,000 steps that update all titles' words: the epoch takes a minute, whatever the machine.
    text = real.study_file.read_text(encoding="utf-8")
    real.change(
        ("validate_every = 1", "validate_every = 1\nbatch_size = 1"),
        ("{ low = 16, high = 16 }", "{ low = 16, high = 128 }"),
        ("embedding_dimension = 16", "embedding_dimension = 128"),
    )
    process = real.start("search.run", "--study", "tiny", "--trials", "1")
    has_model = (
        "SELECT number, '' FROM trials JOIN trial_user_attributes USING (trial_id) "
        "WHERE state = 'RUNNING' AND key = 'derived'"
    )
    wait_until(process, lambda: bool(rows(real, has_model)))
    time.sleep(4)  # tracing and compiling are over, and the compiled epoch runs
    os.kill(process.pid, signal.SIGINT)
    wait_until(process, lambda: "press Ctrl-C again to stop at once" in process.said)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(20) == 130
    # A tidy end would have recorded the trial; here the next start does.
    assert [trial.state for trial in real.trials] == ["running"]

    real.study_file.write_text(text, encoding="utf-8")
    refused = real.search("--trials", "1")
    assert "training.batch_size was 1, is 1000" in refused.stderr


def test_a_second_search_joins_the_first_and_leaves_its_trials_alone(fake: FakeFolder) -> None:
    fake.hold()
    first = fake.start("search.run", "--study", "tiny", "--trials", "8")
    wait_until(first, lambda: bool(running(fake)))
    second = fake.start("search.run", "--study", "tiny", "--trials", "8")
    wait_until(second, lambda: len(running(fake)) == 2)
    fake.release()
    assert (first.wait(), second.wait()) == (0, 0), first.said + second.said
    assert "1 under way elsewhere" in second.said
    assert len({trial.user_attrs["worker"] for trial in fake.study.trials}) == 2
    assert_whole(fake, 8)
    assert {trial.state for trial in fake.trials} <= {"complete", "pruned"}


def weights(folder: Folder, number: int) -> list[np.ndarray]:
    return [
        np.asarray(variable)
        for tower in load_towers(tower_folder(folder.path / "studies" / "tiny", number))
        for variable in tower.trainable_variables
    ]


@pytest.mark.storm  # three searches that train
def test_a_killed_search_goes_on_from_its_last_validation_as_if_undisturbed(
    folder: Folder, tmp_path: Path, small_cache_home: Path
) -> None:
    undisturbed = Folder(tmp_path / "undisturbed", cache_home=small_cache_home)
    for place in (folder, undisturbed):
        place.change(("epochs = 4", "epochs = 30"), ("validate_every = 1", "validate_every = 4"))
    killed = folder.start("search.run", "--study", "tiny", "--trials", "2", FAKE_DIES="0 epoch 25")
    assert killed.wait() == -signal.SIGKILL, killed.said
    done = folder.search("--trials", "2")
    assert done.stderr == ""
    undisturbed.search("--trials", "2")
    cut, *finished = folder.trials
    assert (cut.state, finished[0].resumed_after) == ("interrupted", 24)
    assert finished[0].curve[:24] == cut.curve, "what was trained was trained once"
    others = undisturbed.trials
    assert [trial.value for trial in finished] == [trial.value for trial in others]
    assert [trial.curve_values for trial in finished] == [trial.curve_values for trial in others]
    assert all(map(np.array_equal, weights(folder, 1), weights(undisturbed, 0)))
    assert not list((folder.path / "studies").rglob("*.checkpoint"))
    assert_whole(folder, 2)
