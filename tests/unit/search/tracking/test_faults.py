"""Servers that die, hang or are elsewhere, files that are refused, databases that are locked."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest
import requests
from urllib3.exceptions import MaxRetryError, ProtocolError

from search.config.addresses import PROJECT
from search.records.events import TrialFinished
from search.tracking.destination import resolve_uri
from search.tracking.store import Store, explain, is_outage
from search.tracking.tracker import Tracker, open_tracker
from search.tracking.writing import Reconciled
from tests.faults.servers import MlflowServer
from tests.unit.search.sample_records import save_towers, trial
from tests.unit.search.tracking.support import (
    CONTEXT,
    EVIDENCE,
    At,
    Reader,
    Warnings,
    begin,
    confirmed,
    no_towers,
    run_live,
)


def seconds(action: Callable[[], Any]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


@pytest.fixture
def of_server(
    server: MlflowServer, tmp_path: Path, warnings: Warnings, request: pytest.FixtureRequest
) -> tuple[Tracker, Reader]:
    """A study of the test's own on the server that all share."""
    name = request.node.name
    context = replace(CONTEXT, name=name, identity=name)
    tracker = open_tracker(server.uri, context, folder=tmp_path / "mlruns", warn=warnings)
    return tracker, Reader(server.uri, name)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is given up on after a second."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


@pytest.mark.faults
def test_a_server_holds_what_the_database_would(
    of_server: tuple[Tracker, Reader],
    tmp_path: Path,
    warnings: Warnings,
    capfd: pytest.CaptureFixture[str],
) -> None:
    tracker, reader = of_server
    towers = save_towers(tmp_path / "towers-of-0")
    trials = [run_live(tracker, trial(0), towers), run_live(tracker, trial(1, "pruned"))]
    assert tracker.reconcile(trials, lambda n: towers if n == 0 else None).nothing
    tracker.study_finished(trials, "complete")
    assert reader.parent.info.status == "FINISHED"
    assert [reader.children[n].info.status for n in (0, 1)] == ["FINISHED", "KILLED"]
    assert len(reader.history(reader.children[0], "train_loss")) == 10
    assert reader.artifacts(reader.children[0]) == {"towers"}
    assert reader.artifacts(reader.parent) == {"study.toml"}
    assert warnings == []
    assert capfd.readouterr() == ("", "")  # mlflow prints links and progress otherwise


@pytest.mark.faults
def test_a_hanging_server_holds_a_trial_up_for_seconds_only(
    server: MlflowServer, of_server: tuple[Tracker, Reader], impatient: None, warnings: Warnings
) -> None:
    tracker, reader = of_server
    server.hang()
    assert seconds(lambda: run_live(tracker, trial(0))) < 10  # the first answer has 8 s
    assert seconds(lambda: run_live(tracker, trial(1))) < 1
    server.resume()
    assert len(warnings) == 1
    assert "does not answer" in warnings[0]
    # The request that was given up on may have been carried out since: no trial has two runs.
    trials = [trial(0), trial(1)]
    assert tracker.reconcile(trials, no_towers).reached
    assert tracker.reconcile(trials, no_towers).nothing
    assert reader.children.keys() == {0, 1}


@pytest.mark.faults
def test_a_server_that_hangs_while_it_is_sent_files_is_given_up_on(
    server: MlflowServer,
    of_server: tuple[Tracker, Reader],
    impatient: None,
    tmp_path: Path,
    warnings: Warnings,
) -> None:
    tracker, _ = of_server
    begin(tracker, trial(0))
    towers = save_towers(tmp_path / "towers-of-0")
    for path in towers.iterdir():
        path.write_bytes(bytes(30_000_000))  # more than any buffer on the way takes
    store, run_id = tracker._connection.writer.store, tracker.parent_run_id
    server.hang()
    assert seconds(lambda: tracker.hear(TrialFinished(trial(0), towers))) < 8
    with pytest.raises(Exception, match="time"):
        store.upload_files(run_id, sorted(towers.iterdir()), "towers")
    assert seconds(lambda: tracker.reconcile([trial(0)], lambda _: towers)) < 8
    server.resume()
    assert tracker.reconcile([trial(0)], lambda _: towers) == Reconciled(closed=(0,))
    assert len(warnings) == 1


@pytest.mark.faults
def test_a_database_locked_by_another_program_costs_one_warning(at: At) -> None:
    with closing(sqlite3.connect(at.folder / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert seconds(lambda: run_live(at.tracker, trial(0))) < 30  # MLflow's own limit is 20 s
        other.execute("ROLLBACK")
    assert len(at.warnings) == 1
    assert "locked" in at.warnings[0]
    assert at.tracker.reconcile([trial(0)], no_towers) == Reconciled(made=(0,))


CREATE = """
import sys
from pathlib import Path
from search.tracking.tracker import open_tracker
from tests.unit.search.tracking.support import CONTEXT
print(open_tracker(None, CONTEXT, folder=Path(sys.argv[1]), warn=print).parent_run_id)
"""


@pytest.mark.faults
def test_processes_that_start_at_once_share_one_database_and_one_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CREATE, str(tmp_path / "mlruns")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=PROJECT) for _ in range(2)]
    parents = {process.communicate(timeout=120)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(parents) == 1


@pytest.mark.parametrize(
    "location", ["s3://no-such-bucket/here", "file:///proc/no-such-bucket/here"]
)
def test_one_line_says_which_files_are_not_tracked(location: str, tmp_path: Path, at: At) -> None:
    at.reader.client.create_experiment(CONTEXT.name, artifact_location=location)
    assert at.tracker.parent_run_id
    [line] = at.warnings
    assert line.startswith("MLflow takes no files from here (")
    assert "\n" not in line
    towers = save_towers(tmp_path / "towers")
    trials = [run_live(at.tracker, trial(0), towers), trial(1)]
    assert at.tracker.reconcile(trials, lambda _: towers) == Reconciled(made=(1,))
    assert at.tracker.study_finished(trials, "complete")
    at.tracker.log_report(towers / "query_model.keras")
    assert at.reader.parent.info.status == "FINISHED"
    for run in at.reader.children.values():
        assert run.info.status == "FINISHED"
        assert len(at.reader.history(run, "train_loss")) == 10
        assert "deeprec.towers" not in run.data.tags
    assert at.tracker.reconcile(trials, lambda _: towers).nothing
    assert (
        at.tracker.publish(at.reader.parent.info.run_id, towers, confirmed(0.3), EVIDENCE) is None
    )
    assert at.warnings == [line]
    assert at.tracker.refuses_files


def test_files_are_added_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: At) -> None:
    towers = save_towers(tmp_path / "towers")

    def refuse(*_arguments: object) -> None:
        raise ModuleNotFoundError("No module named 'boto3'")

    with monkeypatch.context() as broken:
        broken.setattr("search.tracking.store.get_artifact_repository", refuse)
        run_live(at.tracker, trial(0), towers)
    assert len(at.warnings) == 1
    assert at.opened().reconcile([trial(0)], lambda _: towers) == Reconciled(completed=(0,))
    assert len(at.reader.artifacts(at.reader.children[0], "towers")) == 2
    assert at.reader.artifacts(at.reader.parent) == {"study.toml"}
    assert len(at.warnings) == 1


def test_a_connection_that_breaks_in_the_middle_of_a_request_is_an_outage() -> None:
    """As urllib3 and requests raise it: what broke is among the arguments alone."""
    aborted = ProtocolError("Connection aborted.", RemoteDisconnected("Remote end closed"))
    retried = MaxRetryError(None, "/", aborted)  # type: ignore[arg-type]
    retried.__cause__ = aborted
    error = requests.ConnectionError(retried)
    assert is_outage(error)
    said = explain(error, resolve_uri("http://127.0.0.1:5000", Path("mlruns")))
    assert said == "http://127.0.0.1:5000 cannot be reached (the connection broke)"


def test_a_refusal_is_no_outage() -> None:
    for outage in (ConnectionResetError("reset"), TimeoutError(), OSError(28, "No space left")):
        assert is_outage(outage)
    refusals = (PermissionError(13, "Permission denied"), OSError(30, "Read-only file system"))
    for refusal in (*refusals, ModuleNotFoundError("No module named 'boto3'")):
        assert not is_outage(refusal)


def test_a_folder_of_a_server_is_not_made_here(monkeypatch: pytest.MonkeyPatch, at: At) -> None:
    root = "/nowhere/of/the/server"
    at.reader.client.create_experiment(CONTEXT.name, artifact_location=f"{root}/7")
    store = Store(at.tracker._connection.destination, at.warnings)
    monkeypatch.setattr(Store, "takes_many", False)
    assert not store.upload(at.tracker.parent_run_id, "a", b"b")
    assert at.warnings[-1].count(f"{root} is a folder of the server, not of this machine") == 1
