"""Searches with several worker processes: exact budgets, kills, signals."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from search.execution.supervisor import MOST_DEATHS
from tests.commands import Folder
from tests.faults.scene import command_line, worker_processes
from tests.flows.conftest import FakeFolder
from tests.flows.test_interruptions import assert_whole, running, wait_until
from tests.warm import Process

pytestmark = [pytest.mark.data, pytest.mark.faults]


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def start(folder: Folder) -> Process:
    """Starts a search with two workers and waits until both run a trial that was validated."""
    process = folder.start("search.run", "--study", "tiny", "--workers", "2")
    wait_until(process, lambda: len(running(folder)) == 2)
    return process


def start_and_hold(fake: FakeFolder) -> Process:
    """The same; neither of the two trials ends before it is released or stopped."""
    fake.hold()
    return start(fake)


def are_alive(pids: list[int]) -> bool:
    return any(command_line(pid) for pid in pids)


def wait_for_end(pids: list[int], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while are_alive(pids):
        assert time.monotonic() < deadline, "a worker lives on"
        time.sleep(0.05)


def test_two_workers_finish_exactly_the_trials_asked_for(folder: Folder) -> None:
    folder.change(("low = 1, high = 2", "low = 1, high = 1"), ("high = 32", "high = 16"))
    done = folder.search("--workers", "2", "--trials", "5")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert_whole(folder, 5)
    lines = re.findall(r"^trial (\d+) (?:complete|pruned)", done.stdout, re.MULTILINE)
    assert sorted(map(int, lines)) == [0, 1, 2, 3, 4]
    trials = folder.study.get_trials(deepcopy=False)
    assert len({trial.user_attrs["worker"] for trial in trials}) == 2
    assert len({trial.derived["seed"] for trial in folder.trials}) == 5
    assert [trial.reference for trial in folder.trials].count("reference (16,)") == 1


def test_more_trials_go_on_from_those_that_there_are(fake: FakeFolder) -> None:
    assert fake.search("--workers", "2", "--trials", "2").returncode == 0
    more = fake.search("--workers", "2", "--trials", "5")
    assert "going on with study tiny: 2 of 5 trials" in more.stdout
    assert_whole(fake, 5)


def test_workers_that_ray_places_on_this_machine_finish_exactly_the_trials(
    fake: FakeFolder,
) -> None:
    fake.hold()
    flags = ("--cluster", "local", "--workers", "2", "--trials", "4")
    process = fake.start("search.run", "--study", "tiny", *flags)
    wait_until(process, lambda: len(running(fake)) == 2)
    fake.release()
    assert process.wait() == 0, process.said
    assert_whole(fake, 4)


def test_one_worker_runs_in_the_process_itself(fake: FakeFolder) -> None:
    fake.hold()
    process = fake.start("search.run", "--study", "tiny", "--workers", "1", "--trials", "1")
    wait_until(process, lambda: bool(running(fake)))
    assert list(running(fake).values()) == [process.pid]
    assert worker_processes(process.pid) == []
    fake.release()
    process.wait()


def test_each_worker_has_its_share_of_the_cores_and_no_secret_in_its_command(
    fake: FakeFolder,
) -> None:
    process = start_and_hold(fake)
    workers = worker_processes(process.pid)
    share = str(max(1, len(os.sched_getaffinity(0)) // 2))
    assert [environment_of(pid)["NPROC"] for pid in workers] == [share, share]
    assert not any(b"tiny" in command_line(pid) for pid in workers)
    fake.release()
    process.wait()


def test_a_killed_worker_is_replaced_and_its_trial_runs_again(fake: FakeFolder) -> None:
    process = start_and_hold(fake)
    number, victim = max(running(fake).items())
    os.kill(victim, signal.SIGKILL)
    wait_until(process, lambda: "another one is started" in process.said)
    fake.release()
    assert process.wait() == 0, process.said
    assert (
        f"warning: a worker died (signal SIGKILL); trial {number} runs again first; "
        "another one is started" in process.said
    )
    assert_whole(fake, 4)
    killed = fake.trials[number]
    assert (killed.state, killed.reason) == ("interrupted", "the worker that ran it died")
    [again] = [trial for trial in fake.trials if trial.retry_of == number]
    assert again.parameters == killed.parameters
    assert again.derived["seed"] == killed.derived["seed"]


def test_workers_that_keep_dying_end_the_search(fake: FakeFolder) -> None:
    process = start_and_hold(fake)
    killed: set[int] = set()
    while process.poll() is None:
        for pid in worker_processes(process.pid):
            if pid not in killed and len(killed) < MOST_DEATHS:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(0.05)
    assert process.wait() == 1, process.said
    said = "5 workers died and no trial finished between; the last: signal SIGKILL"
    assert said in process.said
    assert {trial.state for trial in fake.trials} <= {"interrupted", "failed"}
    assert fake.runs("study")[0].info.status == "FAILED"


@pytest.mark.parametrize(
    ("number", "to_group", "reason"),
    [
        (signal.SIGHUP, True, "the terminal was closed"),
        (signal.SIGTERM, False, "terminated"),
    ],
)
def test_the_first_signal_ends_every_worker_after_its_epoch(
    fake: FakeFolder, number: signal.Signals, to_group: bool, reason: str
) -> None:
    process = start_and_hold(fake)
    workers = worker_processes(process.pid)
    (os.killpg if to_group else os.kill)(process.pid, number)
    assert process.wait(120) == 128 + number, process.said
    assert not are_alive(workers)
    assert [(trial.state, trial.reason) for trial in fake.trials] == [("interrupted", reason)] * 2
    assert {run.info.status for run in fake.runs("trial")} == {"KILLED"}
    assert "Traceback" not in process.said
    assert "died" not in process.said

    fake.release()
    assert fake.search("--workers", "2", "--trials", "4").returncode == 0
    assert_whole(fake, 4)
    assert {trial.retry_of for trial in fake.trials[2:4]} == {0, 1}


@pytest.mark.parametrize(("number", "to_group"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_the_second_signal_ends_all_of_them_at_once(
    folder: Folder, number: signal.Signals, to_group: bool
) -> None:
    # 6,000 steps an epoch that update all titles' words: it lasts, and the compiled code runs.
    folder.change(
        ("validate_every = 1", "validate_every = 1\nbatch_size = 1"), ("epochs = 4", "epochs = 900")
    )
    process = start(folder)
    workers = worker_processes(process.pid)
    send = os.killpg if to_group else os.kill
    send(process.pid, number)
    send(process.pid, number)
    assert process.wait(20) == 128 + number, process.said
    wait_for_end(workers, seconds=5)


def test_workers_whose_parent_was_killed_stop_and_the_search_goes_on(fake: FakeFolder) -> None:
    process = start_and_hold(fake)
    workers = worker_processes(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for_end(workers)
    assert [trial.state for trial in fake.trials] == ["interrupted"] * 2
    assert {trial.reason for trial in fake.trials} == {
        "the search that started this worker is gone"
    }
    fake.release()
    assert fake.search("--workers", "2", "--trials", "4").returncode == 0
    assert_whole(fake, 4)


def test_a_terminated_worker_records_its_trial_and_is_replaced(fake: FakeFolder) -> None:
    process = start_and_hold(fake)
    number, victim = min(running(fake).items())
    os.kill(victim, signal.SIGTERM)
    wait_until(process, lambda: "another one is started" in process.said)
    fake.release()
    assert process.wait() == 0, process.said
    assert "warning: a worker died (terminated); another one is started" in process.said
    assert fake.trials[number].state == "interrupted"
    assert_whole(fake, 4)


def test_a_fault_of_the_environment_stops_all_workers_and_costs_no_trial(fake: FakeFolder) -> None:
    # Towers are saved into a folder of this name, before a value is stored.
    (fake.path / "studies" / "tiny").write_text("a file")
    cores = len(os.sched_getaffinity(0))
    done = fake.search("--workers", str(cores + 1), "--trials", "9")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"warning: {cores + 1} workers share {cores} core" in done.stdout
    assert "this is no fault of the trial: [Errno 17]" in done.stdout
    assert {trial.state for trial in fake.trials} == {"interrupted"}


def test_no_worker_starts_a_trial_after_the_timeout(fake: FakeFolder) -> None:
    done = fake.search("--workers", "2", "--timeout", "0.001")
    assert done.returncode == 0
    assert "stopped with 0 of 4 trials: the time of --timeout is over" in done.stdout
    assert fake.trials == []
