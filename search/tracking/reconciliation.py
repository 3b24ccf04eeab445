"""All trials of a study compared with the runs that MLflow has of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from search.records.trials import TrialRecord
from search.tracking.content import RunContent, StoredRun, runs_of
from search.tracking.names import KIND, STUDY, TRIAL
from search.tracking.writing import Writer

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
