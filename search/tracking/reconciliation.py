"""Making MLflow agree with the study: what is missing is made, what is stale is closed."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from search.tracking.content import TOWERS, TOWERS_FOLDER, TRIAL, RunContent
from search.tracking.pictures import CURVES, trial_pictures
from search.tracking.writing import Held, Writer, held
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
        reached: False when MLflow could not be reached, and it is not known what is missing.
    """

    made: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()
    completed: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    reached: bool = True

    @property
    def nothing(self) -> bool:
        """Whether MLflow was found complete."""
        return self == Reconciled()


class Reconciliation:
    """One comparison of all trials with the runs MLflow has of them.

    Args:
        writer: of the study.
        content_of: the content of a trial's run.
        towers_of: the saved towers of a trial, by number, if there are any.

    Attributes:
        run_ids: the run of every trial that has one, by trial number.
    """

    def __init__(
        self,
        writer: Writer,
        content_of: Callable[[TrialRecord], RunContent],
        towers_of: Callable[[int], Path | None],
    ) -> None:
        self.run_ids: dict[int, str] = {}
        self._writer = writer
        self._content_of = content_of
        self._towers_of = towers_of
        self._done: dict[_Repair, list[int]] = {}

    def run(self, trials: Sequence[TrialRecord], stored: Iterable["StoredRun"]) -> Reconciled:
        """Make, close and complete what needs it; trials under way are left alone."""
        unclaimed = {run.run_id: run for run in stored}
        for trial in trials:
            if trial.state != "waiting":
                self._settle(trial, unclaimed)
        self._close_strays(unclaimed.values())
        return Reconciled(
            made=tuple(self._done.get("made", ())),
            closed=tuple(self._done.get("closed", ())),
            completed=tuple(self._done.get("completed", ())),
            removed=tuple(self._done.get("removed", ())),
        )

    def _settle(self, trial: TrialRecord, unclaimed: dict[str, "StoredRun"]) -> None:
        content = self._content_of(trial)
        claimed = runs_of(content, unclaimed.values())
        for run in claimed:
            del unclaimed[run.run_id]
        for duplicate in claimed[1:]:
            self._writer.store.delete(duplicate.run_id)
            self._done.setdefault("removed", []).append(trial.number)
        if claimed:
            self.run_ids[trial.number] = claimed[0].run_id
        if trial.state != "running":
            self._repair(trial, content, claimed[0] if claimed else None)

    def _repair(self, trial: TrialRecord, content: RunContent, run: "StoredRun | None") -> None:
        towers = self._towers_of(trial.number)
        if run is None:
            self._finish(trial, self._writer.begin(content), content, towers, "made")
        elif run.status == "RUNNING":
            self._finish(trial, held(run), content, towers, "closed")
        elif not is_whole(run, content, towers):
            self._finish(trial, held(run), content, towers, "completed")

    def _finish(
        self, trial: TrialRecord, run: Held, content: RunContent, towers: Path | None, how: _Repair
    ) -> None:
        self._writer.finish(run, content, pictures=trial_pictures(trial), towers=towers)
        self.run_ids[trial.number] = run.run_id
        self._done.setdefault(how, []).append(trial.number)

    def _close_strays(self, runs: Iterable["StoredRun"]) -> None:
        """Runs left RUNNING by a study of the same name that is gone."""
        for run in runs:
            if run.status == "RUNNING":
                self._writer.store.close(run.run_id, "KILLED", None)
                self._done.setdefault("closed", []).append(int(run.tags[TRIAL]))


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


def is_whole(run: "StoredRun", content: RunContent, towers: Path | None) -> bool:
    """Whether a closed run holds its content, as far as one search for runs shows it."""
    return (
        run.status == content.status
        and content.params.keys() <= run.params.keys()
        and all(run.tags.get(name) == value for name, value in content.tags.items())
        and all(_equal(run.latest.get(name), value) for name, value in content.latest.items())
        and run.has_inputs
        and (towers is None or TOWERS in run.tags)
        and _has_files(run.folder, towers)
    )


def _has_files(folder: Path | None, towers: Path | None) -> bool:
    """Whether the artifacts are there; those on a server are believed to be."""
    if folder is None:
        return True
    wanted = [Path(TOWERS_FOLDER, path.name) for path in towers.glob("*.keras")] if towers else []
    return all((folder / name).is_file() for name in (Path(CURVES), *wanted))


def _equal(stored: float | None, value: float) -> bool:
    return stored is not None and math.isclose(stored, value, rel_tol=1e-9)
