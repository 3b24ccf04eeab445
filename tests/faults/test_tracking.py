"""Searches whose tracking server dies, hangs or is away: trials go on, and MLflow agrees later."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from search.records.trials import TrialRecord
from search.storage.towers import find_towers
from tests.faults.servers import MlflowServer
from tests.flows.conftest import Folder
from tests.flows.conftest import dataset as dataset
from tests.flows.conftest import folder as folder

pytestmark = [pytest.mark.data, pytest.mark.faults]

STATUS = {
    "complete": "FINISHED",
    "pruned": "KILLED",
    "interrupted": "KILLED",
    "failed": "FAILED",
}


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with MlflowServer(tmp_path_factory.mktemp("server")) as server:
        yield server


def runs(server: MlflowServer, kind: str) -> list[Run]:
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    wanted = f"tags.`deeprec.kind` = '{kind}'"
    return list(client.search_runs([experiment.experiment_id], wanted))


def assert_agrees(folder: Folder, server: MlflowServer, study_status: str = "FINISHED") -> None:
    """MLflow holds every trial as Optuna does, once; nothing is left RUNNING."""
    trials, found = folder.trials, runs(server, "trial")
    by_number = {int(run.data.tags["deeprec.trial"]): run for run in found}
    assert len(by_number) == len(found)
    assert by_number.keys() == {trial.number for trial in trials}
    for trial in trials:
        assert_same(folder, server, trial, by_number[trial.number])
    [study] = runs(server, "study")
    assert study.info.status == study_status
    best = max((t for t in trials if t.state == "complete"), key=lambda t: t.value or 0.0)
    assert study.data.tags["deeprec.best_trial"] == str(best.number)
    assert {run.data.tags["deeprec.reference_name"] for run in runs(server, "reference")} >= {
        "popularity"
    }


def assert_same(folder: Folder, server: MlflowServer, trial: TrialRecord, run: Run) -> None:
    client = MlflowClient(server.uri)
    assert run.info.status == STATUS[trial.state]
    assert run.data.tags["deeprec.state"] == trial.state
    expected = {name: str(v) for name, v in {**trial.parameters, **trial.derived}.items()}
    assert run.data.params == expected
    for metric in ("train_loss", "val_loss", "val_top_100_accuracy"):
        history = client.get_metric_history(run.info.run_id, metric)
        assert sorted((m.step, m.value) for m in history) == [
            (point.epoch, point.metrics[metric]) for point in trial.curve if metric in point.metrics
        ]
    towers = find_towers(folder.path / "studies" / "tiny", trial.number)
    stored = {Path(info.path).name for info in client.list_artifacts(run.info.run_id, "towers")}
    assert stored == ({path.name for path in towers.glob("*.keras")} if towers else set())


def warnings(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("warning:")]


def sync(folder: Folder, server: MlflowServer) -> subprocess.CompletedProcess[str]:
    return folder.run("search.sync", "--study", "tiny", "--tracking-uri", server.uri)


def lines_until(process: subprocess.Popen[str], pattern: str) -> list[str]:
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line)
        if re.search(pattern, line):
            return seen
    raise AssertionError(f"no line like {pattern!r}: {''.join(seen)}")


def wait_for_trials(server: MlflowServer, count: int) -> None:
    """Until MLflow holds the first trials, all of them finished."""
    deadline = time.monotonic() + 120
    while True:
        ended = [run for run in runs(server, "trial") if run.info.status != "RUNNING"]
        if {int(run.data.tags["deeprec.trial"]) for run in ended} >= set(range(count)):
            return
        assert time.monotonic() < deadline, f"{len(ended)} trials of {count}"
        time.sleep(1)


def with_epochs(folder: Folder, epochs: int) -> None:
    text = folder.study_file.read_text(encoding="utf-8")
    folder.study_file.write_text(text.replace("epochs = 4", f"epochs = {epochs}"), "utf-8")


@pytest.mark.storm
def test_a_server_that_is_killed_and_comes_back_has_what_it_missed_before_the_end(
    folder: Folder, server: MlflowServer
) -> None:
    with_epochs(folder, 100)
    process = folder.start(
        "search.run", "--study", "tiny", "--trials", "1000", "--tracking-uri", server.uri
    )
    try:
        lines_until(process, "^trial 0 ")
        server.kill()
        lines_until(process, "^warning: MLflow: .* cannot be reached")
        server.start()
        [*_, line] = lines_until(process, "MLflow answers again")
        assert re.search(r"adding (a trial that|\d+ trials that) ended meanwhile", line)
        wait_for_trials(server, len(folder.trials) - 1)
        assert process.poll() is None, "the search was to go on"
    finally:
        os.kill(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=180)
    assert process.returncode == 130
    assert warnings(output) == []
    assert_agrees_without_references(folder, server)


def assert_agrees_without_references(folder: Folder, server: MlflowServer) -> None:
    """An interrupted search does not wait for references; everything else is there."""
    done = sync(folder, server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was missing" in done.stdout
    trials, found = folder.trials, runs(server, "trial")
    assert len(found) == len(trials)
    for run in found:
        assert_same(folder, server, trials[int(run.data.tags["deeprec.trial"])], run)
    assert [run.info.status for run in runs(server, "study")] == ["KILLED"]


@pytest.mark.storm
def test_a_server_that_hangs_costs_a_search_some_timeouts_and_is_brought_up_to_date(
    folder: Folder, server: MlflowServer
) -> None:
    begun = time.monotonic()
    healthy = folder.search("--trials", "2", "--tracking-uri", server.uri)
    healthy_s = time.monotonic() - begun
    assert healthy.returncode == 0, healthy.stderr
    assert warnings(healthy.stdout) == []

    server.hang()
    begun = time.monotonic()
    hanging = folder.search("--trials", "4", "--tracking-uri", server.uri)
    hanging_s = time.monotonic() - begun
    assert hanging.returncode == 0, hanging.stderr
    assert hanging_s < healthy_s + 45  # the check, the first trial, the end: a timeout each
    first, last = warnings(hanging.stdout)
    assert "does not answer" in first
    assert f"python -m search.sync --study tiny --tracking-uri {server.uri}" in last

    server.resume()
    done = sync(folder, server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_agrees(folder, server)
    assert "nothing was missing" in sync(folder, server).stdout


@pytest.mark.storm
def test_a_server_that_hangs_in_the_middle_holds_no_trial_up(
    folder: Folder, server: MlflowServer
) -> None:
    with_epochs(folder, 40)
    process = folder.start("search.run", "--study", "tiny", "--tracking-uri", server.uri)
    lines_until(process, "^trial 0 ")
    server.hang()
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    first, last = warnings(output)
    assert "does not answer" in first
    assert "python -m search.sync" in last
    server.resume()
    assert sync(folder, server).returncode == 0
    assert_agrees(folder, server)


@pytest.mark.storm
def test_a_study_goes_on_while_its_server_is_dead_and_sync_adds_what_is_missing(
    folder: Folder, server: MlflowServer
) -> None:
    assert folder.search("--trials", "2", "--tracking-uri", server.uri).returncode == 0
    server.kill()
    resumed = folder.search("--trials", "4", "--tracking-uri", server.uri)
    assert resumed.returncode == 0, resumed.stderr
    first, last = warnings(resumed.stdout)
    assert "cannot be reached" in first
    assert "MLflow is not known to hold 4 trials" in last

    unreached = sync(folder, server)
    assert unreached.returncode == 1
    assert len((unreached.stdout + unreached.stderr).splitlines()) == 1
    assert "cannot be reached" in unreached.stdout

    server.start()
    done = sync(folder, server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "comparing 4 trials" in done.stdout
    assert "made: trials 2, 3" in done.stdout
    assert_agrees(folder, server)
    again = sync(folder, server)
    assert again.returncode == 0
    assert "nothing was missing: MLflow holds 4 trials" in again.stdout


def test_a_new_study_is_refused_while_its_server_is_dead(folder: Folder) -> None:
    done = folder.search("--tracking-uri", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert "MLflow must be usable before a search starts" in done.stderr
    assert not (folder.path / "studies" / "tiny.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--study", "tiny"], "there is no study 'tiny'"),
        (["--study", "tinny"], "unknown study 'tinny'"),
        (["--study", "tiny", "--storage", "here"], "--storage must be a database URL"),
        (["--study", "tiny", "--tracking-uri", "mlruns"], "tracking URI must be"),
    ],
)
def test_sync_refuses_bad_input_in_one_line_and_writes_nothing(
    folder: Folder, arguments: list[str], said: str
) -> None:
    before = folder.snapshot()
    done = folder.run("search.sync", *arguments)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert said in line
    assert folder.snapshot() == before
