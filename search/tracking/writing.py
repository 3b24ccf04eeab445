"""Content -> MLflow: a run found, begun, compared and finished; and so all runs of trials.

A run is closed as its very last step. So a run that is not RUNNING holds everything; and every
step may be repeated, for MLflow keeps one of two equal values.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from search.records.results import ConfirmationRecord, ReferenceRecord, RetrainRecord
from search.records.trials import CurvePoint, TrialRecord
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
from search.tracking.names import KIND, STUDY, TOWERS, TOWERS_FOLDER, TRIAL, StudyContext

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


BATCH = 100  # how many runs a database is given at once

TowersOf = Callable[[int], Path | None]  # the folder of a trial's saved towers, by number, or None


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """What a reconciliation did, as trial numbers."""

    made: tuple[int, ...] = ()  # MLflow lacked the run
    closed: tuple[int, ...] = ()  # the run was left RUNNING
    completed: tuple[int, ...] = ()  # the run was closed and lacked something
    removed: tuple[int, ...] = ()  # there was a second run of the trial (now in MLflow's trash)
    # MLflow lacks something of them, or it is not known whether it does
    lacking: tuple[int, ...] = ()
    reached: bool = True  # False when MLflow could not be reached, or broke off

    @property
    def nothing(self) -> bool:
        """Whether MLflow was found complete."""
        return self == Reconciled()


@dataclass
class Reconciliation:
    """A comparison of all trials with the runs MLflow has of them, in portions if need be."""

    content_of: Callable[[TrialRecord], RunContent]  # the content of a trial's run
    towers_of: TowersOf
    run_ids: dict[int, str]  # takes the run of every trial that has one, by trial number
    # takes the tags that say the places of trials, by their names and the trials' numbers
    places: Mapping[str, dict[int, str]]
    settled: set[int] = field(default_factory=set)  # the trials that MLflow is known to hold
    _done: dict[str, list[int]] = field(default_factory=dict)
    _unclaimed: dict[int, list[StoredRun]] | None = None
    _has_just_searched: bool = True
    _batch: list[tuple[TrialRecord, RunContent]] = field(default_factory=list)

    @property
    def result(self) -> Reconciled:
        """What was done so far."""
        done = {how: tuple(sorted(numbers)) for how, numbers in self._done.items()}
        return Reconciled(
            made=done.get("made", ()),
            closed=done.get("closed", ()),
            completed=done.get("completed", ()),
            removed=done.get("removed", ()),
        )

    def run(self, writer: Writer, trials: Sequence[TrialRecord], until: float) -> bool:
        """Make, close and complete what needs it; trials under way are left alone.

        The runs that MLflow has are searched first, and again after a failure: thousands take
        seconds. What other processes make later on is noticed run by run.

        No other process makes runs that are missing. It stops between two trials when the monotonic
        clock is at ``until``.

        Returns whether it came to the end.
        """
        self._has_just_searched = self._unclaimed is None
        unclaimed = self._search(writer) if self._unclaimed is None else self._unclaimed
        self._unclaimed, self._batch = None, []  # searched again unless this one succeeds
        is_through = self._settle_all(writer, trials, unclaimed, until)
        self._unclaimed = unclaimed
        return is_through

    def _search(self, writer: Writer) -> dict[int, list[StoredRun]]:
        found: dict[int, list[StoredRun]] = {}
        for tags in self.places.values():
            tags.clear()
        of_trials = {STUDY: writer.context.key, KIND: "trial"}
        for run in writer.store.find_runs(writer.experiment_id, of_trials):
            found.setdefault(int(run.tags[TRIAL]), []).append(run)
            for tag in self.places.keys() & run.tags.keys():
                self.places[tag][int(run.tags[TRIAL])] = run.tags[tag]
        return found

    def _settle_all(
        self,
        writer: Writer,
        trials: Sequence[TrialRecord],
        unclaimed: dict[int, list[StoredRun]],
        until: float,
    ) -> bool:
        for trial in trials:
            if trial.state == "waiting" or trial.number in self.settled:
                continue
            if time.monotonic() >= until:
                self._make_batch(writer)
                return False
            self._settle(writer, trial, unclaimed.setdefault(trial.number, []))
        self._make_batch(writer)
        # Runs left RUNNING by an earlier study of the same name. One whose trial has not ended
        # may be that of a process which began it a moment ago.
        ended = {trial.number for trial in trials if trial.has_ended}
        for number in ended & unclaimed.keys():
            for run in unclaimed[number]:
                if run.status == "RUNNING":
                    writer.store.close(run.run_id, "KILLED", None)
                    self._note("closed", number)
        return True

    def _settle(self, writer: Writer, trial: TrialRecord, runs: list[StoredRun]) -> None:
        """Bring one trial to an end, or into the batch; its runs are taken from the list."""
        content = self.content_of(trial)
        claimed = runs_of(content, runs)
        runs[:] = [run for run in runs if run not in claimed]
        for duplicate in claimed[1:]:
            writer.store.delete(duplicate.run_id)
            self._note("removed", trial.number)
        if claimed:
            self.run_ids[trial.number] = claimed[0].run_id
        if trial.state == "running":
            return
        towers = None if writer.store.refuses_artifacts else self.towers_of(trial.number)
        if claimed or towers or not writer.store.takes_many:
            found = claimed if claimed or self._has_just_searched else writer.find(content)
            self._ensure(writer, trial, content, found, towers)
            return
        self._batch.append((trial, content))
        if len(self._batch) >= BATCH:
            self._make_batch(writer)

    def _make_batch(self, writer: Writer) -> None:
        contents = [content for _, content in self._batch]
        made = writer.store.create_trials(writer.experiment_id, contents) if contents else {}
        for trial, content in self._batch:
            if run_id := made.get(content.tags[TRIAL]):
                self.run_ids[trial.number] = run_id
                self._note("made", trial.number)
                self.settled.add(trial.number)
            else:  # another process was faster, or an earlier study has a run of that number
                self._ensure(writer, trial, content, writer.find(content))
        self._batch = []

    def _ensure(
        self,
        writer: Writer,
        trial: TrialRecord,
        content: RunContent,
        found: Sequence[StoredRun],
        towers: Path | None = None,
    ) -> None:
        self.run_ids[trial.number], how = writer.ensure(
            content, found[0] if found else None, towers
        )
        self.settled.add(trial.number)
        if how:
            self._note(how, trial.number)

    def _note(self, how: str, number: int) -> None:
        self._done.setdefault(how, []).append(number)
