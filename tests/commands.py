"""Folders in which commands are started as a user starts them."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from functools import cached_property
from pathlib import Path

import mlflow
import optuna
from mlflow.entities import Run

from search.config.addresses import PROJECT
from search.records.trials import TrialRecord
from search.storage.database import Database
from search.storage.study import load_study
from search.storage.trials import records
from tests.tiny_study import tiny_study
from tests.warm import Process


class Folder:
    """A folder in which commands are started, with a study.

    Args:
        path: an empty folder, made where it is missing.
        study: the text of the study file; None writes none.
        name: of the study.
        cache_home: of what the commands train on; the user's own when None.
        is_fake: whether trials train nothing, see :mod:`tests.faults.fake`.
        variables: of the environment of every command.
    """

    def __init__(
        self,
        path: Path,
        study: str | None = tiny_study(),
        *,
        name: str = "tiny",
        cache_home: Path | None = None,
        is_fake: bool = False,
        **variables: str,
    ) -> None:
        self.path = path
        self.is_fake = is_fake
        self.name = name
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
            **({} if cache_home is None else {"XDG_CACHE_HOME": str(cache_home)}),
            **variables,
        }
        self.study_file = path / "studies" / f"{name}.toml"
        self.study_file.parent.mkdir(parents=True, exist_ok=True)
        if study is not None and not self.study_file.exists():
            self.study_file.write_text(study, encoding="utf-8")

    @cached_property
    def outputs(self) -> Path:
        """Where what commands print is kept: beside the folder, which is compared."""
        return Path(tempfile.mkdtemp(prefix="outputs-", dir=self.path.parent))

    def change(self, *changes: tuple[str, str]) -> None:
        """Replaces what is in the study file."""
        text = self.study_file.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        self.study_file.write_text(text, encoding="utf-8")

    def start(self, module: str, *arguments: str, **variables: str) -> Process:
        """Starts a command; what it prints, errors included, is in one file."""
        output = self.outputs / f"{len(list(self.outputs.iterdir()))}.txt"
        return self._process(module, arguments, variables, output, output)

    def run(
        self, module: str, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        number = len(list(self.outputs.iterdir()))
        output, errors = (self.outputs / f"{number}.{name}" for name in ("out", "err"))
        code = self._process(module, arguments, variables, output, errors).wait()
        said, wrong = (path.read_text(encoding="utf-8") for path in (output, errors))
        return subprocess.CompletedProcess([module, *arguments], code, said, wrong)

    def _process(
        self,
        module: str,
        arguments: tuple[str, ...],
        variables: dict[str, str],
        output: Path,
        errors: Path,
    ) -> Process:
        return Process(
            module,
            arguments,
            folder=self.path,
            environment=self.environment | variables,
            output=output,
            errors=errors,
            is_fake=self.is_fake,
        )

    def search(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("search.run", "--study", self.name, *arguments, **variables)

    def command(self, module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """A command line, and its environment, for a process that imports for itself."""
        return [sys.executable, "-m", module, *arguments], self.environment

    def run_alone(
        self, module: str, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in a process that imports for itself: seconds slower."""
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
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def copy_of_study(self, path: Path) -> "Folder":
        """Another folder with the study as it is now, of which MLflow knows nothing there."""
        shutil.copytree(self.path / "studies", path / "studies")
        return self._in(path)

    def copy(self, path: Path) -> "Folder":
        """Another folder with all that this one has, MLflow included."""
        shutil.copytree(self.path, path, dirs_exist_ok=True)
        with closing(sqlite3.connect(path / "mlruns" / "mlflow.db")) as connection, connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                for column in connection.execute(f"PRAGMA table_info('{table}')").fetchall():
                    connection.execute(
                        f'UPDATE "{table}" SET "{column[1]}" = replace("{column[1]}", ?, ?) '
                        f'WHERE instr("{column[1]}", ?)',
                        (str(self.path), str(path), str(self.path)),
                    )
        return self._in(path)

    def _in(self, path: Path) -> "Folder":
        other = Folder(path, None, name=self.name, is_fake=self.is_fake)
        other.environment = dict(self.environment)
        return other

    @property
    def study(self) -> optuna.Study:
        database = Database.at(f"sqlite:///{self.path / 'studies' / self.name}.db")
        return load_study(database, self.name, make="search.run")

    @property
    def trials(self) -> list[TrialRecord]:
        return records(self.study)

    @property
    def client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(f"sqlite:///{self.path / 'mlruns' / 'mlflow.db'}")

    def runs(self, kind: str) -> list[Run]:
        experiment = self.client.get_experiment_by_name(self.name)
        assert experiment is not None
        return list(
            self.client.search_runs(
                [experiment.experiment_id],
                f"tags.`deeprec.kind` = '{kind}'",
                order_by=["attributes.start_time ASC"],
            )
        )

    def snapshot(self) -> dict[str, bytes]:
        """All files but those that SQLite has beside a database while it is open."""
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and not path.name.endswith(("-shm", "-wal"))
        }


def printed_commands(output: str) -> dict[str, str]:
    """The last lines of a command, by what they are for."""
    return dict(re.findall(r"^([a-z -]+): +(\S.*)$", output, re.MULTILINE))
