"""Searches of one study that are disturbed, and what must hold of it whatever happened."""

import itertools
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import optuna
import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Run
from sqlalchemy.pool import NullPool

from search.config.workspace import PROJECT
from search.records.trials import TrialRecord
from search.storage.databases import default_storage
from search.storage.study import close_study, load_study
from search.storage.towers import find_towers, load_towers
from search.storage.trials import family_of, records

STUDY = """
[study]
trials = 1
seed = 5
max_failures_in_a_row = 1000

[training]
epochs = 6
validate_every = 1
batch_size = 500

[space]
depth = { low = 1, high = 2 }
width = { low = 8, high = 16 }
embedding_dimension = { low = 8, high = 8 }
learning_rate = { low = 0.05, high = 0.2 }

[sampler]
name = "random"

[pruner]
name = "median"
startup_trials = 4
warmup_epochs = 2

[[enqueue]]
name = "reference (8,)"
layer_sizes = [8]
embedding_dimension = 8
learning_rate = 0.1

[[enqueue]]
name = "reference (16, 8)"
layer_sizes = [16, 8]
embedding_dimension = 8
learning_rate = 0.1
"""
"""Trials of a fraction of a second, whose values differ."""

Answer = TypeVar("Answer")

GRACE_SECONDS = 3.0
PATIENCE_SECONDS = 240.0

STATUS = {"complete": "FINISHED", "pruned": "KILLED", "interrupted": "KILLED", "failed": "FAILED"}


@dataclass
class Command:
    """A running ``search.run``.

    Attributes:
        process: the command itself.
        folder: where it runs.
        output: what it has said, in a file, so that it never waits for a reader.
        runs_trials: whether it does itself, rather than its workers.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    output: Path
    runs_trials: bool

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    @property
    def workers(self) -> list[int]:
        """The process ids of whatever runs its trials."""
        if not self.runs_trials:
            return worker_processes(self.process.pid)
        return [self.process.pid] if self.is_running else []

    @property
    def said(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")


class Scene:
    """One study, its storage and its MLflow, and the searches at work on it.

    Args:
        path: where folders of searches are made.
        cache_home: with few rows to train on.
        storage: URL of the storage; the SQLite database of the folder when None.
        tracking_uri: of a server; the folder's own database when None.
        seed: of when and where a fault comes.
        output: where the searches' output is kept; with their folders when None.
    """

    def __init__(
        self,
        path: Path,
        cache_home: Path,
        *,
        storage: str | None = None,
        tracking_uri: str | None = None,
        seed: int,
        output: Path | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.commands: list[Command] = []
        self.faults = 0
        self._opened: list[optuna.Study] = []
        self._path = path
        self._output = output or path
        self._cache_home = cache_home
        self._storage = storage
        self._tracking_uri = tracking_uri
        self._told: dict[int, tuple[str, float | None]] = {}
        self._numbers = itertools.count()
        self.folder = self.new_folder()

    def new_folder(self) -> Path:
        """A working directory, as another machine would have it."""
        folder = self._path / f"machine-{next(self._numbers)}"
        (folder / "studies").mkdir(parents=True)
        (folder / "studies" / "tiny.toml").write_text(STUDY, encoding="utf-8")
        return folder

    @property
    def is_remote(self) -> bool:
        """Whether machines that share nothing but servers can search the study."""
        return self._storage is not None

    @property
    def storage(self) -> str:
        return self._storage or default_storage(self.folder / "studies", "tiny")

    @property
    def tracking_uri(self) -> str:
        return self._tracking_uri or f"sqlite:///{self.folder / 'mlruns' / 'mlflow.db'}"

    def start(self, trials: int, *options: str, folder: Path | None = None) -> Command:
        """Starts a search of the study."""
        place = folder or self.folder
        arguments = ["--study", "tiny", "--trials", str(trials), "--grace", str(GRACE_SECONDS)]
        if self._tracking_uri is not None:
            arguments += ["--tracking-uri", self._tracking_uri]
        environment = {
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
            "XDG_CACHE_HOME": str(self._cache_home),
            # Shared by every process here: threads for each of four would only wait.
            "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
        }
        if self._storage is not None:
            environment["DEEPREC_STORAGE"] = self._storage
        output = self._output / f"output-{next(self._numbers)}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "search.run", *arguments, *options],
                cwd=place,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        command = Command(process, place, output, runs_trials="--workers" not in options)
        self.commands.append(command)
        return command

    @property
    def running(self) -> list[Command]:
        """The searches that are at work."""
        return [command for command in self.commands if command.is_running]

    @property
    def workers(self) -> list[int]:
        """Process ids of whatever runs trials."""
        return [pid for command in self.running for pid in command.workers]

    def observe(self) -> int:
        """Looks at what was told; what was told once must stay. Returns how many have finished."""
        now = {
            number: (state, value)
            for number, state, value in self.rows(TOLD)
            if state in ("COMPLETE", "PRUNED", "FAIL")
        }
        lost = {number: told for number, told in self._told.items() if now.get(number) != told}
        assert not lost, f"told, and lost or changed: {lost}"
        self._told = now
        return sum(state in ("COMPLETE", "PRUNED") for state, _ in now.values())

    def rows(self, query: str) -> list[tuple[int, str, float | None]]:
        """The answer of the storage to a query; what was known, where it does not answer."""
        engine = sqlalchemy.create_engine(self.storage, poolclass=NullPool)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(sqlalchemy.text(query))]
        except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.ProgrammingError):
            return [(n, state, value) for n, (state, value) in self._told.items()]

    def until(self, condition: Callable[[], Answer], seconds: float = PATIENCE_SECONDS) -> Answer:
        """Waits for a true answer while searches run; the last one, when they end or time is up."""
        deadline = time.monotonic() + seconds
        while not (answer := condition()) and self.running and time.monotonic() < deadline:
            time.sleep(0.02)
        return answer

    def until_more_is_told(self, count: int = 1) -> bool:
        """Waits until so many more trials have finished; False if the searches end before."""
        before = self.observe()
        return self.until(lambda: self.observe() >= before + count)

    def pause(self, longest: float) -> None:
        """Waits for a random time."""
        time.sleep(self.random.uniform(0, longest))

    def wait(self) -> None:
        """Waits until every search has ended."""
        for command in self.commands:
            try:
                command.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"a search never ended; it said:\n{command.said}") from None
        self.observe()

    def close(self) -> None:
        """Ends whatever is left, stopped processes included."""
        for command in self.running:
            os.killpg(command.process.pid, signal.SIGKILL)
            command.process.wait()
        for study in self._opened:
            close_study(study)

    @property
    def study(self) -> optuna.Study:
        study = load_study(self.storage, "tiny", make="")
        self._opened.append(study)
        return study

    def assert_whole(self, trials: int) -> None:
        """All that must hold once every search has ended."""
        study = self.study
        found = records(study)
        assert [trial.number for trial in found] == list(range(len(found)))
        assert {trial.state for trial in found} <= set(STATUS), "a trial was left open"
        assert sum(trial.is_finished for trial in found) == trials
        assert_nothing_ran_twice(study, found)
        self.assert_mlflow_is_equal(found, study.user_attrs["identity"])
        self.assert_towers_load(found)

    def assert_mlflow_is_equal(self, found: list[TrialRecord], identity: str) -> None:
        """One run a trial, with its state, parameters and curve; nothing RUNNING."""
        client = MlflowClient(self.tracking_uri)
        experiment = client.get_experiment_by_name("tiny")
        assert experiment is not None
        ours = f"tags.`deeprec.study` = '{identity}'"
        runs = list(client.search_runs([experiment.experiment_id], ours, max_results=5000))
        left = [run.info.run_name for run in runs if run.info.status == "RUNNING"]
        assert not left, f"left RUNNING: {left}"
        by_trial: dict[int, Run] = {}
        for run in runs:
            if run.data.tags["deeprec.kind"] == "trial":
                number = int(run.data.tags["deeprec.trial"])
                assert number not in by_trial, f"trial {number} has two runs"
                by_trial[number] = run
        assert sorted(by_trial) == [trial.number for trial in found]
        for trial in found:
            assert_run_is(by_trial[trial.number], trial, client)

    def assert_towers_load(self, found: list[TrialRecord]) -> None:
        """Every folder of towers is whole, and the best trial has one."""
        folders = {command.folder for command in self.commands}
        saved = {
            trial.number: towers
            for folder in folders
            for trial in found
            if (towers := find_towers(folder / "studies" / "tiny", trial.number)) is not None
        }
        complete = [trial for trial in found if trial.state == "complete"]
        best = max(complete, key=lambda trial: (trial.value, -trial.number))
        assert best.number in saved, "the towers of the best trial were lost"
        for towers in saved.values():
            load_towers(towers)


TOLD = (
    "SELECT trials.number, CAST(trials.state AS VARCHAR(9)), trial_values.value "
    "FROM trials LEFT JOIN trial_values ON trial_values.trial_id = trials.trial_id"
)
JUST_CLAIMED = (
    "SELECT number, worker.value_json, NULL FROM trials "
    "JOIN trial_user_attributes AS worker ON worker.trial_id = trials.trial_id "
    "AND worker.key = 'worker' "
    "LEFT JOIN trial_user_attributes AS beat ON beat.trial_id = trials.trial_id "
    "AND beat.key = 'beat' "
    "WHERE CAST(state AS VARCHAR(9)) = 'RUNNING' AND beat.key IS NULL"
)


def assert_nothing_ran_twice(study: optuna.Study, found: list[TrialRecord]) -> None:
    """No configuration finished twice, no point was drawn twice."""
    finished = [trial for trial in found if trial.is_finished]
    stored = study.get_trials(deepcopy=False)
    families = [family_of(stored[trial.number]) for trial in finished]
    assert len(families) == len(set(families)), "one configuration finished twice"
    seeds = [trial.derived["seed"] for trial in finished]
    assert len(seeds) == len(set(seeds)), "two trials had one seed"
    drawn = [tuple(trial.parameters.items()) for trial in finished if not trial.reference]
    assert len(drawn) == len(set(drawn)), "one point was drawn twice"


def assert_run_is(run: Run, trial: TrialRecord, client: MlflowClient) -> None:
    """The run shows what the study holds of the trial."""
    where = f"trial {trial.number}"
    assert run.info.status == STATUS[trial.state], where
    assert run.data.tags["deeprec.state"] == trial.state, where
    expected = {name: str(value) for name, value in {**trial.parameters, **trial.derived}.items()}
    assert expected.items() <= run.data.params.items(), where
    for metric in ("train_loss", "val_top_100_accuracy"):
        history = client.get_metric_history(run.info.run_id, metric)
        logged = {point.step: point.value for point in history}
        curve = {
            point.epoch: point.metrics[metric] for point in trial.curve if metric in point.metrics
        }
        # A process that is killed has shown epochs that the study, which stores them every few
        # seconds, does not hold yet; its configuration runs again, and those count for nothing.
        if trial.is_finished:
            assert logged.keys() == curve.keys(), f"{where}: {metric}"
        assert all(math.isclose(logged[step], curve[step], rel_tol=1e-9) for step in curve), where


def worker_processes(pid: int) -> list[int]:
    """The worker processes of a command."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [int(child) for child in children if b"worker_process" in command_line(int(child))]
    except OSError:
        return []


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def outputs(scene: Scene) -> Mapping[str, str]:
    """What all searches said, for the message of a failure."""
    return {command.output.name: command.said for command in scene.commands}
