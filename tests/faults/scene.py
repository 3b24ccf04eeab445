"""Searches of one study that are disturbed, and what must hold of it whatever happened."""

import math
import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import optuna
import requests
import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Run
from sqlalchemy.pool import NullPool

from deeprec.data.verified_files import check_folder
from search.records.trials import TrialRecord
from search.storage.database import Database
from search.storage.files import TOWER_FILES, find_towers
from search.storage.study import close_study, load_study
from search.storage.trials import family_of, records
from tests.commands import Folder
from tests.faults.fake import EPOCH_SECONDS
from tests.tiny_study import tiny_study
from tests.warm import Process

STUDY = tiny_study(
    ("seed = 7", "seed = 7\nmax_failures_in_a_row = 1000"),
    ("epochs = 4", "epochs = 6"),
    ("[pruner]", '[sampler]\nname = "random"\n\n[pruner]'),
)
Answer = TypeVar("Answer")
GRACE_SECONDS = 3.0
PATIENCE_SECONDS = 240.0
METRICS = ("train_loss", "val_top_100_accuracy")
MOST_RUNS = 100  # whose histories MLflow's server tells in one answer
STATUS = {"complete": "FINISHED", "pruned": "KILLED", "interrupted": "KILLED", "failed": "FAILED"}
STORED = (
    "SELECT trials.number, CAST(trials.state AS VARCHAR(9)), trial_values.value "
    "FROM trials LEFT JOIN trial_values ON trial_values.trial_id = trials.trial_id"
)


@dataclass(frozen=True)
class Search:
    """A running ``search.run``; its trials are run by the process itself, or by its workers."""

    process: Process
    folder: Folder
    has_workers: bool

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    @property
    def workers(self) -> list[int]:
        if self.has_workers:
            return worker_processes(self.process.pid)
        return [self.process.pid] if self.is_running else []


class Scene:
    """One study, its storage and its MLflow, and the searches at work on it.

    Args:
        path: where the searches have their folders.
        cache_home: with few rows to train on.
        storage: URL of the storage; the SQLite database of the folder when None.
        tracking_uri: of a server; the folder's own database when None.
        seed: of when and where a fault comes.
        is_fake: whether trials train nothing; then their epochs take 50 ms.
        first: the folder of the first search; one in ``path`` when None.
    """

    def __init__(
        self,
        path: Path,
        cache_home: Path,
        *,
        storage: str | None = None,
        tracking_uri: str | None = None,
        seed: int = 1,
        is_fake: bool = True,
        first: Path | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.searches: list[Search] = []
        self.faults = 0
        self.is_fake = is_fake
        self.is_remote = storage is not None
        self._path = path
        self._cache_home = cache_home
        self._flags = () if tracking_uri is None else ("--tracking-uri", tracking_uri)
        self._variables = {} if storage is None else {"DEEPREC_STORAGE": storage}
        self._finished: dict[int, tuple[str, float | None]] = {}
        self._opened: list[optuna.Study] = []
        self._folders = 0
        self.folder = self.new_folder(first)
        self.storage = storage or Database.in_folder(self.folder.path / "studies", "tiny").url
        default = f"sqlite:///{self.folder.path / 'mlruns' / 'mlflow.db'}"
        self.tracking_uri = tracking_uri or default

    def new_folder(self, path: Path | None = None) -> Folder:
        """A working directory, as another machine would have it."""
        self._folders += 1
        return Folder(
            path or self._path / f"machine-{self._folders}",
            STUDY,
            cache_home=self._cache_home,
            is_fake=self.is_fake,
            # Shared by every process here: threads for each of four would only wait.
            XLA_FLAGS=f"{os.environ['XLA_FLAGS']} --xla_cpu_multi_thread_eigen=false",
            **{EPOCH_SECONDS: "0.05"},
            **self._variables,
        )

    def machine(self) -> Folder:
        """A working directory; on SQLite, which one machine has to itself, the same."""
        return self.new_folder() if self.is_remote else self.folder

    def start(self, trials: int, *options: str, **variables: str) -> Search:
        return self.start_in(self.folder, trials, *options, **variables)

    def start_in(self, place: Folder, trials: int, *options: str, **variables: str) -> Search:
        flags = ("--trials", str(trials), "--grace", str(GRACE_SECONDS), *self._flags, *options)
        process = place.start("search.run", "--study", "tiny", *flags, **variables)
        search = Search(process, place, has_workers="--workers" in options)
        self.searches.append(search)
        return search

    @property
    def running(self) -> list[Search]:
        return [search for search in self.searches if search.is_running]

    def observe(self) -> int:
        """How many trials have finished; what was stored of one must stay."""
        now = {
            number: (state, value)
            for number, state, value in self._rows()
            if state in ("COMPLETE", "PRUNED", "FAIL")
        }
        lost = {n: before for n, before in self._finished.items() if now.get(n) != before}
        assert not lost, f"stored, and lost or changed: {lost}"
        self._finished = now
        return sum(state in ("COMPLETE", "PRUNED") for state, _ in now.values())

    @cached_property
    def _engine(self) -> sqlalchemy.Engine:
        """To connect with a server takes longer than to ask it; SQLite's files are left alone."""
        options = {} if self.is_remote else {"poolclass": NullPool}
        return sqlalchemy.create_engine(self.storage, **options)

    def _rows(self) -> list[tuple[int, str, float | None]]:
        """What the storage holds; what was known, where it does not answer."""
        try:
            with self._engine.connect() as connection:
                return [tuple(row) for row in connection.execute(sqlalchemy.text(STORED))]
        except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.ProgrammingError):
            return [(n, state, value) for n, (state, value) in self._finished.items()]

    def until(self, condition: Callable[[], Answer], seconds: float = PATIENCE_SECONDS) -> Answer:
        """Waits for a true answer while searches run; the last one, when they end or time is up."""
        deadline = time.monotonic() + seconds
        while not (answer := condition()) and self.running and time.monotonic() < deadline:
            time.sleep(0.05)
        return answer

    def until_more_have_finished(self, count: int = 1) -> bool:
        """Waits for so many more trials; False if the searches end before."""
        before = self.observe()
        return self.until(lambda: self.observe() >= before + count)

    def pause(self, longest: float) -> None:
        time.sleep(self.random.uniform(0, longest))

    def kill_a_worker(self) -> int | None:
        """Kills a process that runs trials, if there is one; a fault that is counted."""
        workers = [pid for search in self.running for pid in search.workers]
        if not workers:
            return None
        victim = self.random.choice(workers)
        self.faults += send(victim, signal.SIGKILL)
        return victim

    def wait(self, *codes: int) -> None:
        """Waits until every search has ended, with one of these exit codes."""
        for search in self.searches:
            code = search.process.wait(PATIENCE_SECONDS)
            assert code in (codes or (0,)), search.process.said
            assert "Traceback" not in search.process.said, search.process.said
        self.observe()

    def close(self) -> None:
        """Ends all that is left, stopped processes included."""
        for search in self.running:
            os.killpg(search.process.pid, signal.SIGKILL)
            search.process.wait()
        self._engine.dispose()
        for study in self._opened:
            close_study(study)

    @property
    def study(self) -> optuna.Study:
        study = load_study(Database.at(self.storage), "tiny", make="")
        self._opened.append(study)
        return study

    @property
    def towers_folder(self) -> Path:
        return self.folder.path / "studies" / "tiny"

    def assert_whole(self, trials: int | None = None) -> list[TrialRecord]:
        """All that must hold once every search has ended; the trials, of which so many finished."""
        study = self.study
        found = records(study)
        assert [trial.number for trial in found] == list(range(len(found)))
        assert {trial.state for trial in found} <= set(STATUS), "a trial was left open"
        if trials is not None:
            assert sum(trial.is_finished for trial in found) == trials
        assert_nothing_ran_twice(study, found)
        assert_mlflow_is_equal(self.tracking_uri, study.user_attrs["identity"], found)
        self.assert_towers_are_whole(found)
        return found

    def assert_towers_are_whole(self, found: list[TrialRecord]) -> None:
        """Every folder of towers is as it was written, and the best trial has one."""
        saved = {
            trial.number: towers
            for search in self.searches
            for trial in found
            if (towers := find_towers(search.folder.path / "studies" / "tiny", trial.number))
        }
        complete = [trial for trial in found if trial.state == "complete"]
        best = max(complete, key=lambda trial: (trial.value, -trial.number))
        assert best.number in saved, "the towers of the best trial were lost"
        for towers in saved.values():
            check_folder(towers, TOWER_FILES)


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


def assert_mlflow_is_equal(uri: str, identity: str, found: list[TrialRecord]) -> None:
    """One run a trial, with its state, parameters and curve; nothing RUNNING."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    ours = f"tags.`deeprec.study` = '{identity}'"
    runs = list(client.search_runs([experiment.experiment_id], ours, max_results=5000))
    left = [run.info.run_name for run in runs if run.info.status == "RUNNING"]
    assert not left, f"left RUNNING: {left}"
    of_trials = [run for run in runs if run.data.tags["deeprec.kind"] == "trial"]
    by_trial = {int(run.data.tags["deeprec.trial"]): run for run in of_trials}
    assert len(by_trial) == len(of_trials), "a trial has two runs"
    assert sorted(by_trial) == [trial.number for trial in found]
    curves = {metric: histories(uri, by_trial, metric) for metric in METRICS}
    for trial in found:
        logged = {metric: curve[trial.number] for metric, curve in curves.items()}
        assert_run_is(by_trial[trial.number], trial, logged)


def histories(uri: str, runs: Mapping[int, Run], metric: str) -> dict[int, dict[int, float]]:
    """A metric of the trials' runs by trial and step; of a server in one request a hundred runs."""
    found: dict[int, dict[int, float]] = {number: {} for number in runs}
    if not uri.startswith("http"):
        client = MlflowClient(uri)
        for number, run in runs.items():
            points = client.get_metric_history(run.info.run_id, metric)
            found[number] = {point.step: point.value for point in points}
        return found
    numbers = {run.info.run_id: number for number, run in runs.items()}
    for first in range(0, len(runs), MOST_RUNS):
        asked = {"run_id": list(numbers)[first : first + MOST_RUNS], "metric_key": metric}
        answer = requests.get(
            f"{uri}/ajax-api/2.0/mlflow/metrics/get-history-bulk", asked, timeout=60
        )
        answer.raise_for_status()
        for point in answer.json()["metrics"]:
            found[numbers[point["run_id"]]][point["step"]] = point["value"]
    return found


def assert_run_is(run: Run, trial: TrialRecord, logged: Mapping[str, Mapping[int, float]]) -> None:
    """The run shows what the study holds of the trial."""
    where = f"trial {trial.number}"
    assert run.info.status == STATUS[trial.state], where
    assert run.data.tags["deeprec.state"] == trial.state, where
    expected = {name: str(value) for name, value in {**trial.parameters, **trial.derived}.items()}
    assert expected == run.data.params, where
    for metric, steps in logged.items():
        curve = {
            point.epoch: point.metrics[metric] for point in trial.curve if metric in point.metrics
        }
        # A process that is killed has shown epochs that the study, which stores them every few
        # seconds, does not hold yet; its configuration runs again, and those count for nothing.
        if trial.is_finished:
            assert steps.keys() == curve.keys(), f"{where}: {metric}"
        assert all(math.isclose(steps[step], curve[step], rel_tol=1e-9) for step in curve), where


def send(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def worker_processes(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    lines = {int(child): command_line(int(child)) for child in children}
    forked = command_line(pid)  # what a child has until it executes its own program
    names = (b"worker_process", b"tests.faults.fake")
    return [
        child
        for child, line in lines.items()
        if line != forked and any(name in line for name in names)
    ]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
