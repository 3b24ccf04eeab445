"""An artifact store that takes no files from here: everything else is tracked all the same."""

from collections.abc import Iterator
from http.client import RemoteDisconnected
from pathlib import Path

import pytest
import requests
from urllib3.exceptions import MaxRetryError, ProtocolError

from search.tracking import Reconciled, Tracker, open_tracker, resolve_uri
from search.tracking.store import Store, explain, is_outage
from tests.faults.servers import MlflowServer
from tests.unit.search.sample_records import save_towers, trial
from tests.unit.search.tracking.support import (
    CONTEXT,
    EVIDENCE,
    Reader,
    Warnings,
    confirmed,
    no_towers,
    run_live,
)


@pytest.fixture(params=["s3://nobody/here", "file:///proc/nobody/here"])
def refused(request: pytest.FixtureRequest, folder: Path, warnings: Warnings) -> Tracker:
    """A study in an experiment whose artifacts cannot be stored from here."""
    Reader(f"sqlite:///{folder}/mlflow.db").client.create_experiment(
        CONTEXT.name, artifact_location=request.param
    )
    return open_tracker(None, CONTEXT, folder=folder, warn=warnings)


def test_parameters_and_metrics_are_tracked_and_one_line_says_what_is_not(
    refused: Tracker, warnings: Warnings, tmp_path: Path
) -> None:
    assert refused.parent_run_id
    [line] = warnings
    assert line.startswith("MLflow takes no files from here (")
    assert "\n" not in line
    towers = save_towers(tmp_path / "towers")
    trials = [run_live(refused, trial(0), towers), trial(1)]
    assert refused.reconcile(trials, lambda _: towers) == Reconciled(made=(1,))
    assert refused.study_finished(trials, "complete")
    refused.log_report(towers / "query_model.keras")
    reader = Reader(refused.uri)
    assert reader.parent.info.status == "FINISHED"
    for run in reader.children.values():
        assert run.info.status == "FINISHED"
        assert len(reader.history(run, "train_loss")) == 10
        assert "deeprec.towers" not in run.data.tags
    assert refused.reconcile(trials, lambda _: towers).nothing
    assert refused.publish(reader.parent.info.run_id, towers, confirmed(0.3), EVIDENCE) is None
    assert warnings == [line]
    assert refused.refuses_files


def test_files_are_added_once_they_can_be(
    folder: Path,
    tracker: Tracker,
    warnings: Warnings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    towers = save_towers(tmp_path / "towers")

    def refuse(*_arguments: object) -> None:
        raise ModuleNotFoundError("No module named 'boto3'")

    with monkeypatch.context() as broken:
        broken.setattr("search.tracking.store.get_artifact_repository", refuse)
        run_live(tracker, trial(0), towers)
    assert len(warnings) == 1
    later = open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    assert later.reconcile([trial(0)], lambda _: towers) == Reconciled(completed=(0,))
    reader = Reader(later.uri)
    assert len(reader.artifacts(reader.children[0], "towers")) == 2
    assert reader.artifacts(reader.parent) == {"study.toml"}
    assert len(warnings) == 1


def test_a_connection_that_breaks_in_the_middle_of_a_request_is_an_outage() -> None:
    """As urllib3 and requests raise it: what broke is among the arguments alone."""
    aborted = ProtocolError("Connection aborted.", RemoteDisconnected("Remote end closed"))
    retried = MaxRetryError(None, "/", aborted)  # type: ignore[arg-type]
    retried.__cause__ = aborted
    error = requests.ConnectionError(retried)
    assert is_outage(error)
    said = explain(error, resolve_uri("http://127.0.0.1:5000", Path("mlruns")))
    assert said == "http://127.0.0.1:5000 cannot be reached (the connection broke)"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionResetError("reset"), True),
        (TimeoutError(), True),
        (OSError(28, "No space left on device"), True),
        (PermissionError(13, "Permission denied"), False),
        (OSError(30, "Read-only file system"), False),
        (ModuleNotFoundError("No module named 'boto3'"), False),
    ],
)
def test_a_refusal_is_no_outage(error: Exception, expected: bool) -> None:
    assert is_outage(error) is expected


def test_a_folder_of_a_server_elsewhere_is_not_made_here(
    folder: Path, warnings: Warnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = "/nowhere/of/the/server"
    Reader(f"sqlite:///{folder}/mlflow.db").client.create_experiment(
        CONTEXT.name, artifact_location=f"{root}/7"
    )
    tracker = open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    store = Store(tracker._connection.destination, warnings)
    monkeypatch.setattr(Store, "takes_many", False)
    assert not store.upload(tracker.parent_run_id, "a", b"b")
    assert warnings[-1].count(f"{root} is a folder of the server, not of this machine") == 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    with MlflowServer(tmp_path / "server", artifact_root="s3://nobody/here") as server:
        yield server


@pytest.mark.faults
def test_a_server_whose_artifacts_are_out_of_reach_holds_everything_else(
    server: MlflowServer, tmp_path: Path, warnings: Warnings
) -> None:
    tracker = open_tracker(server.uri, CONTEXT, folder=tmp_path / "mlruns", warn=warnings)
    trials = [run_live(tracker, trial(0), save_towers(tmp_path / "towers")), trial(1, "pruned")]
    assert tracker.reconcile(trials, no_towers) == Reconciled(made=(1,))
    assert tracker.study_finished(trials, "complete")
    reader = Reader(server.uri)
    assert [reader.children[n].info.status for n in (0, 1)] == ["FINISHED", "KILLED"]
    assert reader.parent.info.status == "FINISHED"
    [line] = warnings
    assert "s3://nobody/here" in line
    assert "boto3" in line
