"""Searches that are killed or interrupted, and go on with the same command."""

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from tests.flows.conftest import Folder

pytestmark = [pytest.mark.data, pytest.mark.faults]

LONG = ("epochs = 4", "epochs = 80")


def make_long(folder: Folder) -> None:
    """Every trial takes many epochs, so that a signal comes in the middle of one."""
    text = folder.study_file.read_text(encoding="utf-8")
    folder.study_file.write_text(text.replace(*LONG), encoding="utf-8")


def interrupted_after(folder: Folder, line_start: str, *signals: int) -> subprocess.Popen[str]:
    """Starts a search, waits for a line of output, sends the signals, and waits for the end."""
    process = folder.start("search.run", "--study", "tiny", "--trials", "3")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(line_start):
            break
    wait_for_running_trial(folder, process)
    for number in signals:
        os.kill(process.pid, number)
    process.communicate(timeout=120)
    return process


def wait_for_running_trial(
    folder: Folder, process: subprocess.Popen[str], *, validated: bool = True
) -> None:
    """Until a trial runs that has its model, and was validated."""
    while not has_running_trial(folder, "trial_intermediate_values" if validated else MODEL):
        assert process.poll() is None, "the search ended before a trial was seen running"
        time.sleep(0.05)


MODEL = "(SELECT trial_id FROM trial_user_attributes WHERE key = 'derived')"


def has_running_trial(folder: Folder, table: str) -> bool:
    """Read without Optuna, which would join in creating the database."""
    database = folder.path / "studies" / "tiny.db"
    query = f"SELECT 1 FROM trials JOIN {table} USING (trial_id) WHERE state = 'RUNNING'"
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchone() is not None
    except sqlite3.OperationalError:  # not there yet, or its tables are not
        return False


def assert_whole(folder: Folder, finished: int) -> None:
    """The study has its trials, and MLflow tells the same; nothing is left RUNNING."""
    states = [trial.state for trial in folder.trials]
    assert sum(state in ("complete", "pruned") for state in states) == finished
    assert [trial.number for trial in folder.trials] == list(range(len(states)))
    assert not {"running", "waiting"} & set(states)
    runs = folder.runs("trial")
    assert [run.data.tags["deeprec.state"] for run in runs] == states
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED", "FAILED"}
    assert [run.info.status for run in folder.runs("study")] == ["FINISHED"]


def test_killed_in_a_trial_the_same_command_finishes_the_rest(folder: Folder) -> None:
    make_long(folder)
    process = interrupted_after(folder, "MovieLens", signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    killed = len(folder.trials) - 1
    parameters = folder.study.trials[killed].params

    done = folder.search("--trials", "3")
    assert done.returncode == 0, done.stderr
    assert f"a killed process left trial {killed} unfinished" in done.stdout
    assert_whole(folder, 3)
    again = folder.trials[killed + 1]
    assert again.retry_of == killed
    assert folder.study.trials[killed + 1].params == parameters


def test_ctrl_c_records_the_trial_and_its_configuration_runs_first(folder: Folder) -> None:
    make_long(folder)
    process = interrupted_after(folder, "MovieLens", signal.SIGINT)
    assert process.returncode == 130
    interrupted = folder.trials[-1]
    assert interrupted.state == "interrupted"
    assert interrupted.reason == "interrupted from the keyboard"
    assert folder.runs("trial")[-1].info.status == "KILLED"
    assert folder.runs("study")[0].info.status == "KILLED"

    folder.search("--trials", "3")
    assert folder.trials[interrupted.number + 1].retry_of == interrupted.number
    assert_whole(folder, 3)


def test_ctrl_c_twice_ends_at_once_in_the_middle_of_an_epoch(folder: Folder) -> None:
    # 70,000 steps that update all titles' words: the epoch takes a minute, whatever the machine.
    text = folder.study_file.read_text(encoding="utf-8")
    slow = text.replace("validate_every = 1", "validate_every = 1\nbatch_size = 1")
    slow = slow.replace("{ low = 16, high = 16 }", "{ low = 16, high = 128 }")
    slow = slow.replace("embedding_dimension = 16", "embedding_dimension = 128")
    folder.study_file.write_text(slow, encoding="utf-8")
    process = folder.start("search.run", "--study", "tiny", "--trials", "1")
    wait_for_running_trial(folder, process, validated=False)
    time.sleep(5)  # tracing and compiling are over, and the compiled epoch runs
    os.kill(process.pid, signal.SIGINT)
    time.sleep(1)  # if nobody listened before the epoch ends, the two would be heard as one
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "press Ctrl-C again to stop at once" in output
    # A tidy end would have recorded the trial; here the next start does.
    assert [trial.state for trial in folder.trials] == ["running"]

    folder.study_file.write_text(text, encoding="utf-8")
    refused = folder.search("--trials", "1")
    assert "training.batch_size was 1, is 1000" in refused.stderr


def test_a_terminated_search_goes_on_like_an_interrupted_one(folder: Folder) -> None:
    make_long(folder)
    process = interrupted_after(folder, "MovieLens", signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM
    assert folder.trials[-1].state == "interrupted"


def test_a_second_search_of_the_study_joins_the_first(folder: Folder) -> None:
    make_long(folder)
    first = folder.start("search.run", "--study", "tiny", "--trials", "20")
    assert first.stdout is not None
    first.stdout.readline()
    wait_for_running_trial(folder, first)
    second = folder.search("--trials", "20")
    output, _ = first.communicate(timeout=300)
    assert (first.returncode, second.returncode) == (0, 0), output + second.stdout + second.stderr
    assert "1 under way elsewhere" in second.stdout
    assert len({trial.user_attrs["worker"] for trial in folder.study.trials}) == 2
    assert_whole(folder, 20)
    assert {trial.state for trial in folder.trials} <= {"complete", "pruned"}


def test_a_search_that_joins_leaves_the_trials_of_the_living_alone(folder: Folder) -> None:
    make_long(folder)
    first = folder.start("search.run", "--study", "tiny", "--trials", "2")
    wait_for_running_trial(folder, first)
    number = len(folder.trials) - 1
    joined = folder.start("search.run", "--study", "tiny", "--trials", "2")
    first.communicate(timeout=120)
    joined.communicate(timeout=120)
    assert folder.trials[number].is_finished


def test_an_interrupted_search_reaches_the_numbers_of_an_undisturbed_one(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    undisturbed = Folder(tmp_path_factory.mktemp("undisturbed"))
    for place in (folder, undisturbed):
        make_long(place)
        text = place.study_file.read_text(encoding="utf-8").replace("epochs = 80", "epochs = 40")
        place.study_file.write_text(text, encoding="utf-8")
    interrupted_after(folder, "trial 0", signal.SIGKILL)
    folder.search("--trials", "3")
    undisturbed.search("--trials", "3")
    finished = [trial.curve_values for trial in folder.trials if trial.is_finished]
    assert finished == [trial.curve_values for trial in undisturbed.trials]
