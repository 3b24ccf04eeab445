"""Making MLflow agree with the study: what is missing is made, what is stale is closed."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from search.tracking.content import RunContent, is_provenance
from search.tracking.keys import RUN_NAME, TOWERS, TOWERS_FOLDER, TRIAL
from search.tracking.writing import Writer, held
from search.trials import TrialRecord

if TYPE_CHECKING:
    from search.tracking.store import StoredRun

_Repair = Literal["made", "closed", "completed", "removed"]


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

    def run(
        self,
        writer: Writer,
        trials: Sequence[TrialRecord],
        stored: Iterable["StoredRun"],
        *,
        until: float = math.inf,
    ) -> bool:
        """Make, close and complete what needs it; trials under way are left alone.

        Args:
            writer: of the study.
            trials: all of the study.
            stored: the runs that MLflow has of them now.
            until: by the monotonic clock; stop then, between two trials.

        Returns:
            Whether it came to the end.
        """
        unclaimed = {run.run_id: run for run in stored}
        for trial in trials:
            if time.monotonic() >= until:
                return False
            if trial.state != "waiting":
                self._settle(writer, trial, unclaimed)
        ended = {trial.number for trial in trials if trial.state not in ("waiting", "running")}
        self._close_strays(writer, unclaimed.values(), ended)
        return True

    @property
    def result(self) -> Reconciled:
        """What was done so far."""
        return Reconciled(
            made=tuple(self._done.get("made", ())),
            closed=tuple(self._done.get("closed", ())),
            completed=tuple(self._done.get("completed", ())),
            removed=tuple(self._done.get("removed", ())),
        )

    def _settle(
        self, writer: Writer, trial: TrialRecord, unclaimed: dict[str, "StoredRun"]
    ) -> None:
        content = self._content_of(trial)
        claimed = runs_of(content, unclaimed.values())
        for run in claimed:
            del unclaimed[run.run_id]
        for duplicate in claimed[1:]:
            writer.store.delete(duplicate.run_id)
            self._note("removed", trial.number)
        if claimed:
            self.run_ids[trial.number] = claimed[0].run_id
        if trial.state != "running" and trial.number not in self.settled:
            self._repair(writer, trial, content, claimed[0] if claimed else None)
            self.settled.add(trial.number)

    def _repair(
        self, writer: Writer, trial: TrialRecord, content: RunContent, stored: "StoredRun | None"
    ) -> None:
        towers = self._towers_of(trial.number)
        how: _Repair
        if stored is None:
            how, run = "made", writer.begin(content)
        elif stored.status == "RUNNING":
            how, run = "closed", held(stored)
        elif not is_whole(stored, content, towers, has_inputs=bool(writer.context.rows)):
            how, run = "completed", held(stored)
        else:
            return
        writer.finish(run, content, towers=towers)
        self.run_ids[trial.number] = run.run_id
        self._note(how, trial.number)

    def _close_strays(
        self, writer: Writer, runs: Iterable["StoredRun"], ended: Collection[int]
    ) -> None:
        """Runs left RUNNING by a study of the same name that is gone.

        One whose trial has not ended may be that of a process which began it a moment ago.
        """
        for run in runs:
            if run.status == "RUNNING" and int(run.tags[TRIAL]) in ended:
                writer.store.close(run.run_id, "KILLED", None)
                self._note("closed", int(run.tags[TRIAL]))

    def _note(self, how: _Repair, number: int) -> None:
        self._done.setdefault(how, []).append(number)


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
    return (
        run.status == content.status
        and run.tags.get(RUN_NAME) == content.name
        and content.params.keys() <= run.params.keys()
        and all(is_provenance(tag) or run.tags.get(tag) == v for tag, v in content.tags.items())
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
