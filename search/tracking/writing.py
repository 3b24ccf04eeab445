"""Content -> MLflow: a run found, begun, compared and finished.

A run is closed as its very last step. So a run that is not RUNNING holds everything; and every
step may be repeated, for MLflow keeps one of two equal values.
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from search.records.results import ConfirmationRecord, ReferenceRecord, RetrainRecord
from search.records.trials import CurvePoint
from search.tracking.content import (
    RunContent,
    StoredRun,
    confirmation_content,
    curve_measurements,
    is_provenance,
    reference_content,
    retrain_content,
    runs_of,
)
from search.tracking.names import TOWERS, TOWERS_FOLDER, TRIAL, StudyContext

if TYPE_CHECKING:
    from search.tracking.store import Store

How = Literal["made", "closed", "completed"]
"""What had to be done to a run: there was none, it was left RUNNING, or it lacked something."""


@dataclass(frozen=True)
class Writer:
    """Writes the runs of one study into its experiment; raises what mlflow raises."""

    store: "Store"
    experiment_id: str
    context: StudyContext

    def find(self, content: RunContent) -> list[StoredRun]:
        """The runs that MLflow has of a content by now, the one to keep first."""
        found = self.store.find_runs(self.experiment_id, content.key)
        return runs_of(content, found) if TRIAL in content.key else found

    def begin(self, content: RunContent) -> StoredRun:
        """Make a run with its tags, parameters and data set; it is RUNNING."""
        started_ms = content.started_ms or time.time_ns() // 1_000_000
        run_id = self.store.create_run(self.experiment_id, content, started_ms)
        self.store.log(run_id, params=content.params)
        if self.context.rows:
            self.store.log_inputs(run_id, self.context)
        return StoredRun(
            run_id=run_id,
            status="RUNNING",
            params=content.params,
            latest={},
            tags=content.tags_over({}),
            has_inputs=True,
            started_ms=started_ms,
            folder=None,
        )

    def ensure(
        self, content: RunContent, run: StoredRun | None, towers: Path | None = None
    ) -> tuple[str, How | None]:
        """Have a run, or a new one, hold its content and be closed; its id and what it took."""
        if run is not None and self.holds(run, content, towers):
            return run.run_id, None
        how: How = "made" if run is None else "completed"
        if run is not None and run.status == "RUNNING":
            how = "closed"
        run = run or self.begin(content)
        self.finish(run, content, towers)
        return run.run_id, how

    def holds(
        self,
        run: StoredRun,
        content: RunContent,
        towers: Path | None = None,
        files: Sequence[str] = (),
    ) -> bool:
        """Whether a run holds its content, towers and other files, and is closed.

        As far as one search for runs shows it, that is.
        """
        towers = None if self.store.refuses_artifacts else towers
        tags = content.tags_over(run.tags)
        return (
            run.status == content.status
            and content.params.keys() <= run.params.keys()
            and all(is_provenance(tag) or run.tags.get(tag) == v for tag, v in tags.items())
            and all(_equal(run.latest.get(name), value) for name, value in content.latest.items())
            and (run.has_inputs or not self.context.rows)
            and (towers is None or TOWERS in run.tags)
            and _has_files(run.folder, files, towers)
        )

    def finish(
        self,
        run: StoredRun,
        content: RunContent,
        towers: Path | None = None,
        *,
        sent_epoch: int = 0,
    ) -> None:
        """Bring a run to its content, from the epoch up to which its curve is logged; close it.

        Of the curve of a stored run nothing is known: a search shows last values only.
        """
        if self.context.rows and not run.has_inputs:
            self.store.log_inputs(run.run_id, self.context)
        tags = content.tags_over(run.tags)
        if towers and self.store.upload_files(
            run.run_id, sorted(towers.glob("*.keras")), TOWERS_FOLDER
        ):
            tags[TOWERS] = TOWERS_FOLDER
        # What a run came from is said once, by the process that made it.
        known = {n: v for n, v in tags.items() if n in run.tags and is_provenance(n)}
        self.store.log(
            run.run_id,
            params={k: v for k, v in content.params.items() if k not in run.params},
            metrics=[*(m for m in content.curve if m.step > sent_epoch), *content.finals],
            tags={n: v for n, v in tags.items() if n not in known and run.tags.get(n) != v},
        )
        # A parent that is made again starts after the trials it is made of have ended.
        ended_ms = max(content.ended_ms or 0, run.started_ms)
        self.store.close(run.run_id, content.status, ended_ms)


def _has_files(folder: Path | None, files: Iterable[str], towers: Path | None) -> bool:
    """Whether the artifacts are there; those on a server are believed to be."""
    wanted = [Path(TOWERS_FOLDER, path.name) for path in towers.glob("*.keras")] if towers else []
    return folder is None or all((folder / name).is_file() for name in [*map(Path, files), *wanted])


def _equal(stored: float | None, value: float) -> bool:
    return stored is not None and math.isclose(stored, value, rel_tol=1e-9)


class Live:
    """The run of a trial that trains here, and the epochs that MLflow is still to be sent."""

    def __init__(self, run: StoredRun) -> None:
        self.run_id = run.run_id
        self.sent_at_s = -math.inf
        self._waiting: list[CurvePoint] = []
        self._last = self._sent = 0
        self._has_gaps = False

    @property
    def sent_epoch(self) -> int:
        """Up to which the curve is logged, without a gap."""
        return 0 if self._has_gaps else self._sent

    def take(self, point: CurvePoint) -> None:
        """Keep an epoch until it is sent."""
        self._has_gaps |= point.epoch != self._last + 1
        self._last = point.epoch
        self._waiting.append(point)

    def send(self, store: "Store") -> None:
        """Send the epochs that wait, in one request; they wait on if it fails."""
        store.log(self.run_id, metrics=curve_measurements(self._waiting))
        self._sent = self._waiting[-1].epoch
        self.sent_at_s = time.monotonic()
        self._waiting.clear()


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a study holds beside its trials; re-trainings with the folder of the towers kept."""

    references: Sequence[ReferenceRecord] = ()
    retrainings: Sequence[tuple[RetrainRecord, Path | None]] = ()
    confirmations: Sequence[ConfirmationRecord] = ()

    def contents(self, context: StudyContext) -> list[tuple[RunContent, Path | None]]:
        """The content of a run for each, with its towers."""
        return [
            *((reference_content(record, context), None) for record in self.references),
            *((retrain_content(record, context), towers) for record, towers in self.retrainings),
            *((confirmation_content(record, context), None) for record in self.confirmations),
        ]


@dataclass(frozen=True, kw_only=True)
class LoggedResult:
    """The run of a result, and what had to be done to it; None where it held everything."""

    run_id: str
    name: str
    how: How | None
