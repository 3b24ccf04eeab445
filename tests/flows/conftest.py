"""Real commands in folders of their own, on the real data."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import mlflow
import optuna
import pytest
from mlflow.entities import Run

from deeprec.data.dataset import Dataset
from search.config.workspace import PROJECT
from search.records.trials import TrialRecord
from search.storage.trials import records
from tests.data.conftest import dataset as dataset  # the data is fetched before the commands run

TINY = """
[study]
trials = 4
seed = 7

[training]
epochs = 4
validate_every = 1

[space]
depth = { low = 1, high = 2 }
width = { low = 16, high = 32 }
embedding_dimension = { low = 16, high = 16 }
learning_rate = { low = 0.05, high = 0.2 }

[pruner]
name = "median"
startup_trials = 2
warmup_epochs = 1

[[enqueue]]
name = "reference (16,)"
layer_sizes = [16]
embedding_dimension = 16
learning_rate = 0.1
"""


class Folder:
    """A folder in which searches are started, with the study ``tiny``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "studies").mkdir()
        self.study_file = path / "studies" / "tiny.toml"
        self.study_file.write_text(TINY, encoding="utf-8")

    def command(self, module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
        return [sys.executable, "-m", module, *arguments], environment

    def run(
        self, module: str, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        command, environment = self.command(module, *arguments)
        return subprocess.run(
            command,
            cwd=self.path,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def shell(self, line: str) -> str:
        """What a command prints that is copied into a shell; it must work."""
        _, environment = self.command("")
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        command, environment = self.command(module, *arguments)
        # As in a terminal, also where these tests were started with nohup.
        hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            return subprocess.Popen(
                command,
                cwd=self.path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGHUP, hangup)

    def search(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("search.run", "--study", "tiny", *arguments)

    def copy_of_study(self, path: Path) -> "Folder":
        """Another folder with the study as it is now, of which MLflow knows nothing there."""
        copy = Folder(path)
        shutil.copytree(self.path / "studies", copy.path / "studies", dirs_exist_ok=True)
        return copy

    @property
    def study(self) -> optuna.Study:
        url = f"sqlite:///{self.path / 'studies' / 'tiny.db'}"
        return optuna.load_study(storage=url, study_name="tiny")

    @property
    def trials(self) -> list[TrialRecord]:
        return records(self.study)

    @property
    def client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(f"sqlite:///{self.path / 'mlruns' / 'mlflow.db'}")

    def runs(self, kind: str) -> list[Run]:
        experiment = self.client.get_experiment_by_name("tiny")
        assert experiment is not None
        return list(
            self.client.search_runs(
                [experiment.experiment_id],
                f"tags.`deeprec.kind` = '{kind}'",
                order_by=["attributes.start_time ASC"],
            )
        )

    def snapshot(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in sorted(self.path.rglob("*"))
            if path.is_file()
        }


def printed_commands(output: str) -> dict[str, str]:
    """The last lines of a command, by what they are for."""
    return dict(re.findall(r"^([a-z -]+): +(\S.*)$", output, re.MULTILINE))


@pytest.fixture
def folder(tmp_path: Path, dataset: Dataset) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Folder:
    """A folder whose study has been searched and whose best trial has been re-trained."""
    folder = Folder(tmp_path_factory.mktemp("searched"))
    done = folder.search()
    assert done.returncode == 0, done.stderr
    return folder
