"""Making MLflow agree with the study: what is missing is made, what is stale is closed."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from search.records.trials import TrialRecord
from search.tracking.content import RunContent, is_provenance
from search.tracking.names import TOWERS, TOWERS_FOLDER, TRIAL
from search.tracking.texts import wanted_tags
from search.tracking.writing import Held, Writer, held, runs_of

if TYPE_CHECKING:
    from search.tracking.store import StoredRun

_Repair = Literal["made", "closed", "completed", "removed"]

BATCH = 100
"""How many runs a database is given at once."""


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """What a reconciliation did, as trial numbers.

    Attributes:
        made: MLflow lacked the run.
        closed: the run was left RUNNING.
        completed: the run was closed and lacked something.
        removed: there was a second run of the trial (now in MLflow's trash).
        lacking: MLflow lacks something of them, or it is not known whether it does.
        reached: False when MLflow could not be reached, or broke off.
    """

    made: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()
    completed: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    lacking: tuple[int, ...] = ()
    reached: bool = True

    @property
    def nothing(self) -> bool:
        """Whether MLflow was found complete."""
        return self == Reconciled()


class Reconciliation:
    """A comparison of all trials with the runs MLflow has of them, in portions if need be.

    Args:
        content_of: the content of a trial's run.
        towers_of: the saved towers of a trial, by number, if there are any.

    Attributes:
        run_ids: the run of every trial that has one, by trial number.
        settled: numbers of the trials that MLflow is known to hold.
    """

    def __init__(
        self,
        content_of: Callable[[TrialRecord], RunContent],
        towers_of: Callable[[int], Path | None],
    ) -> None:
        self.run_ids: dict[int, str] = {}
        self.settled: set[int] = set()
        self._content_of = content_of
        self._towers_of = towers_of
        self._done: dict[_Repair, list[int]] = {}
        self._unclaimed: dict[int, list[StoredRun]] | None = None
        self._is_first = True
        self._batch: list[tuple[TrialRecord, RunContent]] = []

    @property
    def wants_runs(self) -> bool:
        """Whether :meth:`run` has to be given the runs that MLflow has: first, or after a failure.

        Searching thousands takes seconds; what others make later on is noticed run by run.
        """
        return self._unclaimed is None

    def run(
        self,
        writer: Writer,
        trials: Sequence[TrialRecord],
        stored: Iterable["StoredRun"] | None = None,
        *,
        until: float = math.inf,
    ) -> bool:
        """Make, close and complete what needs it; trials under way are left alone.

        Args:
            writer: of the study.
            trials: all of the study.
            stored: the runs that MLflow has of them now, where they are wanted.
            until: by the monotonic clock; stop then, between two trials.

        Returns:
            Whether it came to the end.
        """
        self._is_first = stored is not None
        unclaimed = _by_number(stored) if stored is not None else self._unclaimed or {}
        self._unclaimed, self._batch = None, []  # looked up again unless this one succeeds
        is_through = self._settle_all(writer, trials, unclaimed, until)
        self._unclaimed = unclaimed
        return is_through

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

    def _settle_all(
        self,
        writer: Writer,
        trials: Sequence[TrialRecord],
        unclaimed: dict[int, list["StoredRun"]],
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
        ended = {trial.number for trial in trials if trial.state not in ("waiting", "running")}
        strays = [run for number in ended for run in unclaimed.get(number, ())]
        self._close_strays(writer, strays)
        return True

    def _settle(self, writer: Writer, trial: TrialRecord, runs: list["StoredRun"]) -> None:
        """Bring one trial to an end, or into the batch; its runs are taken from the list."""
        content = self._content_of(trial)
        claimed = runs_of(content, runs)
        for run in claimed:
            runs.remove(run)
        for duplicate in claimed[1:]:
            writer.store.delete(duplicate.run_id)
            self._note("removed", trial.number)
        if claimed:
            self.run_ids[trial.number] = claimed[0].run_id
        if trial.state == "running":
            return
        towers = None if writer.store.refuses_artifacts else self._towers_of(trial.number)
        if claimed:
            self._repair(writer, trial, content, claimed[0], towers)
        elif writer.store.takes_many and towers is None:
            self._batch.append((trial, content))
            if len(self._batch) >= BATCH:
                self._make_batch(writer)
            return
        else:
            self._make(writer, trial, content, towers)
        self.settled.add(trial.number)

    def _make_batch(self, writer: Writer) -> None:
        if not self._batch:
            return
        made = writer.store.create_trials(writer.experiment_id, [c for _, c in self._batch])
        for trial, content in self._batch:
            if run_id := made.get(content.tags[TRIAL]):
                self.run_ids[trial.number] = run_id
                self._note("made", trial.number)
            else:  # another process was faster, or an earlier study has a run of that number
                self._make(writer, trial, content, None)
            self.settled.add(trial.number)
        self._batch = []

    def _make(
        self, writer: Writer, trial: TrialRecord, content: RunContent, towers: Path | None
    ) -> None:
        """Make a run, unless another process has made it since the runs were searched."""
        found = [] if self._is_first and not self._batch else writer.find_trial(content)
        if found:
            self._repair(writer, trial, content, found[0], towers)
        else:
            self._finish(writer, trial, writer.begin(content), content, towers, "made")

    def _repair(
        self,
        writer: Writer,
        trial: TrialRecord,
        content: RunContent,
        stored: "StoredRun",
        towers: Path | None,
    ) -> None:
        self.run_ids[trial.number] = stored.run_id
        if stored.status == "RUNNING":
            self._finish(writer, trial, held(stored), content, towers, "closed")
        elif not is_whole(stored, content, towers, has_inputs=bool(writer.context.rows)):
            self._finish(writer, trial, held(stored), content, towers, "completed")

    def _finish(
        self,
        writer: Writer,
        trial: TrialRecord,
        run: Held,
        content: RunContent,
        towers: Path | None,
        how: _Repair,
    ) -> None:
        writer.finish(run, content, towers=towers)
        self.run_ids[trial.number] = run.run_id
        self._note(how, trial.number)

    def _close_strays(self, writer: Writer, runs: Iterable["StoredRun"]) -> None:
        """Runs left RUNNING by a study of the same name that is gone.

        One whose trial has not ended may be that of a process which began it a moment ago.
        """
        for run in runs:
            if run.status == "RUNNING":
                writer.store.close(run.run_id, "KILLED", None)
                self._note("closed", int(run.tags[TRIAL]))

    def _note(self, how: _Repair, number: int) -> None:
        self._done.setdefault(how, []).append(number)


def _by_number(runs: Iterable["StoredRun"]) -> dict[int, list["StoredRun"]]:
    found: dict[int, list[StoredRun]] = {}
    for run in runs:
        found.setdefault(int(run.tags[TRIAL]), []).append(run)
    return found


def is_whole(
    run: "StoredRun",
    content: RunContent,
    towers: Path | None,
    *,
    has_inputs: bool,
    files: Iterable[str] = (),
) -> bool:
    """Whether a closed run holds its content, as far as one search for runs shows it.

    Args:
        run: as MLflow has it.
        content: as it shall be.
        towers: their folder, if there are any.
        has_inputs: whether it shall have a data set.
        files: the names of the artifacts that it shall have, beside towers.
    """
    tags = wanted_tags(content, run.tags)
    return (
        run.status == content.status
        and content.params.keys() <= run.params.keys()
        and all(is_provenance(tag) or run.tags.get(tag) == v for tag, v in tags.items())
        and all(_equal(run.latest.get(name), value) for name, value in content.latest.items())
        and (run.has_inputs or not has_inputs)
        and (towers is None or TOWERS in run.tags)
        and _has_files(run.folder, files, towers)
    )


def _has_files(folder: Path | None, files: Iterable[str], towers: Path | None) -> bool:
    """Whether the artifacts are there; those on a server are believed to be."""
    if folder is None:
        return True
    wanted = [Path(TOWERS_FOLDER, path.name) for path in towers.glob("*.keras")] if towers else []
    return all((folder / name).is_file() for name in [*map(Path, files), *wanted])


def _equal(stored: float | None, value: float) -> bool:
    return stored is not None and math.isclose(stored, value, rel_tol=1e-9)
