"""Content -> MLflow: runs begun, continued and finished.

A run is closed as its very last step. So a run that is not RUNNING holds everything; and every
step may be repeated, for MLflow keeps one of two equal values.
"""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from search.records.trials import CurvePoint
from search.tracking.content import Measurement, RunContent, curve_measurements, is_provenance
from search.tracking.names import KIND, STUDY, TOWERS, TOWERS_FOLDER, TRIAL, StudyContext
from search.tracking.texts import wanted_tags

if TYPE_CHECKING:
    from search.tracking.store import Store, StoredRun


@dataclass(kw_only=True)
class Held:
    """A run, and what MLflow is known to hold of it.

    Attributes:
        run_id: MLflow's.
        started_ms: milliseconds since 1970.
        params: names of the parameters that are logged.
        tags: that are logged.
        has_inputs: whether the data set is logged.
        sent_epoch: up to which the curve is logged.
        waiting: epochs after it that came since.
        last_epoch: the last that came.
        has_gaps: whether epochs were left out before it.
        sent_at_s: when epochs were last sent, by the monotonic clock.
    """

    run_id: str
    started_ms: int
    params: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    has_inputs: bool = False
    sent_epoch: int = 0
    waiting: list[CurvePoint] = field(default_factory=list)
    last_epoch: int = 0
    has_gaps: bool = False
    sent_at_s: float = -math.inf

    def take(self, point: CurvePoint) -> None:
        """Keep an epoch until it is sent."""
        self.has_gaps |= point.epoch != self.last_epoch + 1
        self.last_epoch = point.epoch
        self.waiting.append(point)


def held(run: "StoredRun") -> Held:
    """What is known of a stored run. Of its curve nothing is: a search shows last values only."""
    return Held(
        run_id=run.run_id,
        started_ms=run.started_ms,
        params=set(run.params),
        tags=dict(run.tags),
        has_inputs=run.has_inputs,
    )


def runs_of(content: RunContent, runs: Iterable["StoredRun"]) -> list["StoredRun"]:
    """The runs of a trial, the one to keep first.

    There is a second one when a request was carried out but its answer was lost. A run of the
    same number with other parameters is of an earlier study of that name, and not among them.
    """
    matching = [
        run
        for run in runs
        if run.tags.get(TRIAL) == content.tags[TRIAL]
        and all(run.params.get(name, value) == value for name, value in content.params.items())
    ]
    return sorted(
        matching,
        key=lambda run: (run.started_ms != content.started_ms, run.status == "RUNNING", run.run_id),
    )


@dataclass(frozen=True)
class Writer:
    """Writes the runs of one study into its experiment."""

    store: "Store"
    experiment_id: str
    context: StudyContext

    def begin(self, content: RunContent) -> Held:
        """Make a run with its tags, parameters and data set; it is RUNNING."""
        started_ms = content.started_ms or time.time_ns() // 1_000_000
        run_id = self.store.create_run(self.experiment_id, content, started_ms)
        run = Held(run_id=run_id, started_ms=started_ms, tags=wanted_tags(content, {}))
        self.store.log(run.run_id, params=content.params)
        run.params.update(content.params)
        self._ensure_inputs(run)
        return run

    def find_trial(self, content: RunContent) -> list["StoredRun"]:
        """The runs that MLflow has of a trial by now, the one to keep first."""
        wanted = {name: content.tags[name] for name in (STUDY, KIND, TRIAL)}
        return runs_of(content, self.store.find_runs(self.experiment_id, wanted))

    def send_epochs(self, run: Held) -> None:
        """Send the epochs that wait, in one request; they wait on if it fails."""
        self.store.log(run.run_id, metrics=curve_measurements(run.waiting))
        run.sent_epoch = run.waiting[-1].epoch
        run.sent_at_s = time.monotonic()
        run.waiting.clear()

    def finish(self, run: Held, content: RunContent, *, towers: Path | None = None) -> None:
        """Bring a run to its content and close it."""
        self._ensure_inputs(run)
        tags = wanted_tags(content, run.tags)
        if towers and self.store.upload_towers(run.run_id, towers, TOWERS_FOLDER):
            tags[TOWERS] = TOWERS_FOLDER
        sent = 0 if run.has_gaps else run.sent_epoch
        self.store.log(
            run.run_id,
            params={k: v for k, v in content.params.items() if k not in run.params},
            metrics=[*_after(content.curve, sent), *content.finals],
            tags={k: v for k, v in tags.items() if _is_news(k, v, run.tags)},
        )
        # A parent that is made again starts after the trials it is made of have ended.
        ended_ms = max(content.ended_ms or 0, run.started_ms)
        self.store.close(run.run_id, content.status, ended_ms)

    def _ensure_inputs(self, run: Held) -> None:
        if self.context.rows and not run.has_inputs:
            self.store.log_inputs(run.run_id, self.context)
            run.has_inputs = True


def _is_news(name: str, value: str, stored: Mapping[str, str]) -> bool:
    """Whether a tag is to be written: what a run came from is said once, by whoever made it."""
    return name not in stored if is_provenance(name) else stored.get(name) != value


def _after(curve: Iterable[Measurement], epoch: int) -> list[Measurement]:
    return [measurement for measurement in curve if measurement.step > epoch]
