"""Searches whose tracking server dies, hangs or is away: trials go on, and MLflow agrees later."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from search.storage.files import find_towers
from tests.commands import Folder
from tests.faults.scene import Scene, Search, send
from tests.faults.servers import MlflowServer

pytestmark = [pytest.mark.data, pytest.mark.faults]


@pytest.fixture
def server(mlflow_server: MlflowServer) -> MlflowServer:
    """The tracking server of all tests, which runs whatever the test before left."""
    if not mlflow_server.answers():
        mlflow_server.kill()
        mlflow_server.start()
    return mlflow_server


@pytest.fixture
def scene(tmp_path: Path, small_cache_home: Path, server: MlflowServer) -> Iterator[Scene]:
    made = Scene(tmp_path, small_cache_home, tracking_uri=server.uri)
    try:
        yield made
    finally:
        made.close()


def runs(scene: Scene, kind: str) -> list[Run]:
    client = MlflowClient(scene.tracking_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    identity = scene.study.user_attrs["identity"]
    wanted = f"tags.`deeprec.kind` = '{kind}' AND tags.`deeprec.study` = '{identity}'"
    return list(client.search_runs([experiment.experiment_id], wanted))


def assert_agrees(scene: Scene, study_status: str = "FINISHED") -> None:
    """MLflow holds the study as Optuna does: trials, their towers, the best one, references."""
    found = scene.assert_whole()
    client = MlflowClient(scene.tracking_uri)
    for run in runs(scene, "trial"):
        towers = find_towers(scene.towers_folder, int(run.data.tags["deeprec.trial"]))
        stored = {Path(info.path).name for info in client.list_artifacts(run.info.run_id, "towers")}
        assert stored == ({path.name for path in towers.glob("*.keras")} if towers else set())
    [study] = runs(scene, "study")
    assert study.info.status == study_status
    if study_status == "FINISHED":
        complete = [trial for trial in found if trial.state == "complete"]
        best = max(complete, key=lambda trial: trial.value or 0.0)
        assert study.data.tags["deeprec.best_trial"] == str(best.number)
        names = {run.data.tags["deeprec.reference_name"] for run in runs(scene, "reference")}
        assert names == {"popularity"}


def warnings(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("warning:")]


def searched(scene: Scene, trials: int) -> Search:
    search = scene.start(trials)
    assert search.process.wait() == 0, search.process.said
    return search


def sync(scene: Scene) -> subprocess.CompletedProcess[str]:
    flags = ("--study", "tiny", "--tracking-uri", scene.tracking_uri)
    return scene.folder.run("search.sync", *flags)


def line_like(search: Search, pattern: str) -> str:
    """The first such line, waited for."""
    for line in search.process.lines():
        if re.search(pattern, line):
            return line
    raise AssertionError(f"no line like {pattern!r}: {search.process.said}")


def wait_for_trials(scene: Scene, count: int) -> None:
    """Until MLflow holds the first trials, all of them finished."""
    deadline = time.monotonic() + 300
    while True:
        ended = [run for run in runs(scene, "trial") if run.info.status != "RUNNING"]
        if {int(run.data.tags["deeprec.trial"]) for run in ended} >= set(range(count)):
            return
        assert time.monotonic() < deadline, f"{len(ended)} trials of {count}"
        time.sleep(1)


@pytest.mark.storm
def test_a_server_that_comes_back_gets_what_it_missed(scene: Scene, server: MlflowServer) -> None:
    search = scene.start(1000, FAKE_EPOCH_SECONDS="0.2", FAKE_PAUSE_SECONDS="5")
    line_like(search, "^trial 0 ")
    server.kill()
    line_like(search, "^warning: MLflow: .* cannot be reached")
    server.start()
    line = line_like(search, "MLflow answers again")
    assert re.search(r"adding (a trial that|\d+ trials that) ended meanwhile", line)
    wait_for_trials(scene, scene.observe() - 1)
    assert search.is_running, "the search was to go on"
    send(search.process.pid, signal.SIGINT)
    assert search.process.wait() == 130, search.process.said
    assert len(warnings(search.process.said)) == 1
    done = sync(scene)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was missing" in done.stdout
    assert_agrees(scene, "KILLED")  # an interrupted search does not wait for references


@pytest.mark.storm
def test_a_server_that_hangs_costs_some_timeouts(scene: Scene, server: MlflowServer) -> None:
    begun = time.monotonic()
    healthy = searched(scene, 2)
    healthy_s = time.monotonic() - begun
    assert warnings(healthy.process.said) == []

    server.hang()
    begun = time.monotonic()
    hanging = searched(scene, 4)
    hanging_s = time.monotonic() - begun
    assert hanging_s < healthy_s + 45  # the check, the first trial, the end: a timeout each
    first, last = warnings(hanging.process.said)
    assert "does not answer" in first
    assert f"python -m search.sync --study tiny --tracking-uri {server.uri}" in last

    server.resume()
    done = sync(scene)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_agrees(scene)
    assert "nothing was missing" in sync(scene).stdout


@pytest.mark.storm
def test_a_server_that_hangs_later_holds_no_trial_up(scene: Scene, server: MlflowServer) -> None:
    search = scene.start(12, FAKE_EPOCH_SECONDS="0.2")
    line_like(search, "^trial 0 ")
    server.hang()
    assert search.process.wait() == 0, search.process.said
    first, last = warnings(search.process.said)
    assert "does not answer" in first
    assert "python -m search.sync" in last
    server.resume()
    assert sync(scene).returncode == 0
    assert_agrees(scene)


@pytest.mark.storm
def test_sync_adds_what_a_dead_server_missed(scene: Scene, server: MlflowServer) -> None:
    searched(scene, 2)
    server.kill()
    first, last = warnings(searched(scene, 4).process.said)
    assert "cannot be reached" in first
    assert "MLflow is not known to hold 4 trials" in last

    unreached = sync(scene)
    assert unreached.returncode == 1
    assert len((unreached.stdout + unreached.stderr).splitlines()) == 1
    assert "cannot be reached" in unreached.stdout

    server.start()
    done = sync(scene)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "comparing 4 trials" in done.stdout
    assert "made: trials 2, 3" in done.stdout
    assert_agrees(scene)
    again = sync(scene)
    assert again.returncode == 0
    assert "nothing was missing: MLflow holds 4 trials" in again.stdout


def test_a_new_study_is_refused_while_its_server_is_dead(folder: Path) -> None:
    done = Folder(folder).search("--tracking-uri", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert "MLflow must be usable before a search starts" in done.stderr
    assert not (folder / "studies" / "tiny.db").exists()
