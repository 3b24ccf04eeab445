"""Real servers that die and hang, databases that are locked: trials go on."""

import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from search.records.errors import InputError
from search.records.events import EpochFinished, TrialFinished, TrialStarted
from search.tracking import Reconciled, Tracker, open_tracker
from tests.faults.servers import MlflowServer
from tests.unit.search.sample_records import save_towers, started, trial
from tests.unit.search.tracking.support import (
    CONTEXT,
    Reader,
    Warnings,
    no_towers,
    run_live,
)


@pytest.fixture
def server(folder: Path) -> Iterator[MlflowServer]:
    with MlflowServer(folder) as server:
        yield server


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A socket that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]


def seconds(action: Callable[[], Any]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


@pytest.mark.faults
def test_an_address_that_never_answers_is_refused_within_ten_seconds(
    silent_port: int, tmp_path: Path, warnings: Warnings
) -> None:
    uri = f"http://127.0.0.1:{silent_port}"
    begun = time.monotonic()
    with pytest.raises(InputError, match=f"{uri} does not answer"):
        open_tracker(uri, CONTEXT, folder=tmp_path / "mlruns", warn=warnings)
    assert time.monotonic() - begun < 10


@pytest.mark.faults
def test_a_server_holds_what_the_database_would(
    server: MlflowServer, tmp_path: Path, warnings: Warnings, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = open_tracker(server.uri, CONTEXT, folder=tmp_path / "mlruns", warn=warnings)
    towers = save_towers(tmp_path / "towers-of-0")
    trials = [run_live(tracker, trial(0), towers), run_live(tracker, trial(1, "pruned"))]
    assert tracker.reconcile(trials, lambda n: towers if n == 0 else None).nothing
    tracker.study_finished(trials, "complete")
    reader = Reader(server.uri)
    assert reader.parent.info.status == "FINISHED"
    assert [reader.children[n].info.status for n in (0, 1)] == ["FINISHED", "KILLED"]
    assert len(reader.history(reader.children[0], "train_loss")) == 10
    assert reader.artifacts(reader.children[0]) == {"towers"}
    assert reader.artifacts(reader.parent) == {"study.toml"}
    assert warnings == []
    assert capfd.readouterr() == ("", "")  # mlflow prints links and progress otherwise


@pytest.mark.faults
def test_a_killed_server_costs_one_warning_and_is_brought_up_to_date_later(
    server: MlflowServer, tmp_path: Path, warnings: Warnings
) -> None:
    tracker = open_tracker(server.uri, CONTEXT, folder=tmp_path / "mlruns", warn=warnings)
    trials = [run_live(tracker, trial(0))]
    interrupted = trial(1)
    tracker.hear(TrialStarted(started(interrupted)))
    server.kill()
    for point in interrupted.curve:
        assert seconds(partial(tracker.hear, EpochFinished(1, point))) < 6
    assert seconds(lambda: tracker.hear(TrialFinished(interrupted, None))) < 6
    assert seconds(lambda: run_live(tracker, trial(2))) < 1  # quiet
    trials += [interrupted, trial(2)]
    assert not tracker.reconcile(trials, no_towers).reached
    tracker.study_finished(trials, "complete")
    assert len(warnings) == 1
    assert server.uri in warnings[0]
    assert "\n" not in warnings[0]

    server.start()
    assert tracker.reconcile(trials, no_towers) == Reconciled(made=(2,), closed=(1,))
    tracker.study_finished(trials, "complete")
    reader = Reader(server.uri)
    assert {n: run.info.status for n, run in reader.children.items()} == dict.fromkeys(
        range(3), "FINISHED"
    )
    assert all(len(reader.history(run, "train_loss")) == 10 for run in reader.children.values())
    assert reader.parent.info.status == "FINISHED"
    assert tracker.reconcile(trials, no_towers).nothing
    assert len(warnings) == 1


@pytest.mark.faults
def test_a_hanging_server_holds_a_trial_up_for_seconds_only(
    server: MlflowServer, tmp_path: Path, warnings: Warnings
) -> None:
    tracker = open_tracker(server.uri, CONTEXT, folder=tmp_path / "mlruns", warn=warnings)
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
    assert Reader(server.uri).children.keys() == {0, 1}


@pytest.mark.faults
def test_a_server_that_hangs_while_it_is_sent_files_is_given_up_on(
    server: MlflowServer, tmp_path: Path, warnings: Warnings
) -> None:
    tracker = open_tracker(server.uri, CONTEXT, folder=tmp_path / "mlruns", warn=warnings)
    tracker.hear(TrialStarted(started(trial(0))))
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
def test_a_database_locked_by_another_program_costs_one_warning(
    folder: Path, tracker: Tracker, warnings: Warnings
) -> None:
    with closing(sqlite3.connect(folder / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert seconds(lambda: run_live(tracker, trial(0))) < 30  # MLflow's own limit is 20 s
        other.execute("ROLLBACK")
    assert len(warnings) == 1
    assert "locked" in warnings[0]
    assert tracker.reconcile([trial(0)], no_towers) == Reconciled(made=(0,))


CREATE = """
import sys
from pathlib import Path
from search.tracking import open_tracker
from tests.unit.search.tracking.support import CONTEXT
print(open_tracker(None, CONTEXT, folder=Path(sys.argv[1]), warn=print).parent_run_id)
"""


@pytest.mark.faults
def test_processes_that_start_at_once_share_one_database_and_one_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CREATE, str(tmp_path / "mlruns")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    parents = {process.communicate(timeout=120)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(parents) == 1
