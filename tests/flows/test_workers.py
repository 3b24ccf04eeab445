"""Searches with several worker processes: exact budgets, kills, signals."""

import os
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from search.execution.supervisor import MOST_DEATHS
from tests.flows.conftest import Folder
from tests.flows.test_interruptions import assert_whole, make_long

pytestmark = [pytest.mark.data, pytest.mark.faults]


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The process ids of the workers that a search has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if "worker_process" in command_of(int(child))]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def running_workers(folder: Folder) -> dict[int, int]:
    """The trials that were validated once and still run: number -> process id of the worker.

    Read without Optuna, which would join in creating the database.
    """
    database = folder.path / "studies" / "tiny.db"
    query = (
        "SELECT number, worker.value_json FROM trials "
        "JOIN trial_user_attributes AS worker USING (trial_id) "
        "JOIN trial_intermediate_values USING (trial_id) "
        "WHERE state = 'RUNNING' AND worker.key = 'worker'"
    )
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            return {n: int(worker.split("/")[1]) for n, worker in connection.execute(query)}
    except sqlite3.OperationalError:  # not there yet, or its tables are not
        return {}


def start(folder: Folder, *arguments: str, trials: int = 4) -> subprocess.Popen[str]:
    """Starts a search with two workers and waits until both run a trial that was validated."""
    make_long(folder)
    process = folder.start(
        "search.run", "--study", "tiny", "--workers", "2", "--trials", str(trials), *arguments
    )
    deadline = time.monotonic() + 120
    while len(running_workers(folder)) < 2:
        assert process.poll() is None, "the search ended before two trials were seen running"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def is_alive(pid: int) -> bool:
    return "worker_process" in command_of(pid)


def wait_for_end(pids: list[int], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, "a worker lives on"
        time.sleep(0.05)


def test_two_workers_finish_exactly_the_trials_asked_for(folder: Folder) -> None:
    done = folder.search("--workers", "2", "--trials", "5")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert_whole(folder, 5)
    lines = re.findall(r"^trial (\d+) (?:complete|pruned)", done.stdout, re.MULTILINE)
    assert sorted(map(int, lines)) == [0, 1, 2, 3, 4]
    trials = folder.study.get_trials(deepcopy=False)
    assert len({trial.user_attrs["worker"] for trial in trials}) == 2
    seeds = [trial.derived["seed"] for trial in folder.trials]
    assert len(set(seeds)) == 5
    assert [trial.reference for trial in folder.trials].count("reference (16,)") == 1

    more = folder.search("--workers", "2", "--trials", "7")
    assert "going on with study tiny: 5 of 7 trials" in more.stdout
    assert_whole(folder, 7)


def test_one_worker_runs_in_the_process_itself(folder: Folder) -> None:
    make_long(folder)
    process = folder.start("search.run", "--study", "tiny", "--workers", "1", "--trials", "1")
    while not (folder.path / "studies" / "tiny.db").exists():
        assert process.poll() is None
    children = set()
    while process.poll() is None:
        children |= set(workers_of(process))
        time.sleep(0.02)
    process.communicate()
    assert children == set()


def test_each_worker_has_its_share_of_the_cores_and_no_secret_in_its_command(
    folder: Folder,
) -> None:
    process = start(folder)
    try:
        workers = workers_of(process)
        share = str(max(1, len(os.sched_getaffinity(0)) // 2))
        assert [environment_of(pid)["NPROC"] for pid in workers] == [share, share]
        assert not any("tiny" in command_of(pid) for pid in workers)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    wait_for_end(workers)


def test_a_killed_worker_is_replaced_and_its_trial_runs_again(folder: Folder) -> None:
    process = start(folder)
    number, victim = max(running_workers(folder).items())
    os.kill(victim, signal.SIGKILL)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert (
        f"warning: a worker died (signal SIGKILL); trial {number} runs again first; "
        "another one is started" in output
    )
    assert_whole(folder, 4)
    killed = folder.trials[number]
    assert (killed.state, killed.reason) == ("interrupted", "the worker that ran it died")
    [again] = [trial for trial in folder.trials if trial.retry_of == number]
    assert again.parameters == killed.parameters
    assert again.derived["seed"] == killed.derived["seed"]


def test_workers_that_keep_dying_end_the_search(folder: Folder) -> None:
    process = start(folder)
    killed: set[int] = set()
    while process.poll() is None:
        for pid in workers_of(process):
            if pid not in killed and len(killed) < MOST_DEATHS:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(0.05)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    assert "5 workers died and no trial finished between; the last: signal SIGKILL" in output, (
        output
    )
    assert {trial.state for trial in folder.trials} <= {"interrupted", "failed"}
    assert folder.runs("study")[0].info.status == "FAILED"


@pytest.mark.parametrize(
    ("number", "to_group", "reason"),
    [
        (signal.SIGHUP, True, "the terminal was closed"),
        (signal.SIGTERM, False, "terminated"),
    ],
)
def test_the_first_signal_ends_every_worker_after_its_epoch(
    folder: Folder, number: signal.Signals, to_group: bool, reason: str
) -> None:
    process = start(folder)
    workers = workers_of(process)
    (os.killpg if to_group else os.kill)(process.pid, number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number, output
    assert not any(map(is_alive, workers))
    assert [(trial.state, trial.reason) for trial in folder.trials] == [("interrupted", reason)] * 2
    assert {run.info.status for run in folder.runs("trial")} == {"KILLED"}
    assert "Traceback" not in output
    assert "died" not in output

    assert folder.search("--workers", "2", "--trials", "4").returncode == 0
    assert_whole(folder, 4)
    assert {trial.retry_of for trial in folder.trials[2:4]} == {0, 1}


@pytest.mark.parametrize(("number", "to_group"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_the_second_signal_ends_all_of_them_at_once(
    folder: Folder, number: signal.Signals, to_group: bool
) -> None:
    text = folder.study_file.read_text(encoding="utf-8")
    # 70,000 steps an epoch: no epoch ends before the second signal comes.
    slow = text.replace("validate_every = 1", "validate_every = 1\nbatch_size = 1")
    folder.study_file.write_text(slow, encoding="utf-8")
    process = folder.start("search.run", "--study", "tiny", "--workers", "2")
    while (folder.path / "studies" / "tiny.db").exists() is False or states(folder) != [
        "RUNNING",
        "RUNNING",
    ]:
        assert process.poll() is None
        time.sleep(0.1)
    workers = workers_of(process)
    time.sleep(3)
    send = os.killpg if to_group else os.kill
    send(process.pid, number)
    time.sleep(0.5)
    send(process.pid, number)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 128 + number, output
    wait_for_end(workers, seconds=5)
    assert states(folder) == ["RUNNING", "RUNNING"]


def states(folder: Folder) -> list[str]:
    database = folder.path / "studies" / "tiny.db"
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            return [state for (state,) in connection.execute("SELECT state FROM trials")]
    except sqlite3.OperationalError:
        return []


def test_workers_whose_parent_was_killed_stop_and_the_search_goes_on(folder: Folder) -> None:
    process = start(folder)
    workers = workers_of(process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for_end(workers)
    assert [trial.state for trial in folder.trials] == ["interrupted"] * 2
    assert {trial.reason for trial in folder.trials} == {
        "the search that started this worker is gone"
    }
    assert folder.search("--workers", "2", "--trials", "4").returncode == 0
    assert_whole(folder, 4)


def test_a_terminated_worker_records_its_trial_and_is_replaced(folder: Folder) -> None:
    process = start(folder)
    number, victim = min(running_workers(folder).items())
    os.kill(victim, signal.SIGTERM)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert "warning: a worker died (terminated); another one is started" in output
    assert folder.trials[number].state == "interrupted"
    assert_whole(folder, 4)


def test_more_workers_than_cores_are_warned_of(folder: Folder) -> None:
    cores = len(os.sched_getaffinity(0))
    done = folder.search("--workers", str(cores + 1), "--trials", "2")
    assert done.returncode == 0
    assert f"warning: {cores + 1} workers share {cores} core" in done.stdout
    assert_whole(folder, 2)


def test_a_fault_of_the_environment_stops_all_workers_and_costs_no_trial(folder: Folder) -> None:
    # Towers are saved into a folder of this name, before a value is told.
    (folder.path / "studies" / "tiny").write_text("a file")
    done = folder.search("--workers", "2", "--trials", "9")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "this is no fault of the trial: [Errno 17]" in done.stdout
    assert {trial.state for trial in folder.trials} == {"interrupted"}


def test_no_worker_starts_a_trial_after_the_timeout(folder: Folder) -> None:
    done = folder.search("--workers", "2", "--timeout", "0.001")
    assert done.returncode == 0
    assert "stopped with 0 of 4 trials: the time of --timeout is over" in done.stdout
    assert folder.trials == []
