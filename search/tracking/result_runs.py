"""The runs beside a study's trials: references, re-trainings and confirmations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from search.records.results import ConfirmationRecord, ReferenceRecord, RetrainRecord
from search.tracking.connection import Connection, user_name
from search.tracking.content import (
    RunContent,
    confirmation_content,
    reference_content,
    retrain_content,
    retrain_key,
)
from search.tracking.names import KIND, REFERENCE, SOURCE_TRIAL, STUDY
from search.tracking.reconciliation import is_whole
from search.tracking.writing import held


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a study holds beside its trials.

    Attributes:
        references: what any model should beat.
        retrainings: each with the folder of its towers, if they were kept.
        confirmations: one a winner.
    """

    references: Sequence[ReferenceRecord] = ()
    retrainings: Sequence[tuple[RetrainRecord, Path | None]] = ()
    confirmations: Sequence[ConfirmationRecord] = ()


@dataclass(frozen=True, kw_only=True)
class LoggedResult:
    """What became of the run of a result.

    Attributes:
        run_id: MLflow's.
        name: of the run.
        how: what had to be done to it; None where it held everything.
    """

    run_id: str
    name: str
    how: Literal["made", "completed"] | None


class ResultRuns:
    """Makes a run for every result, or brings it up to date; once, however often asked.

    Methods raise what mlflow raises.

    Args:
        connection: to the study's experiment.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._user = user_name()

    def log(self, results: Results) -> list[LoggedResult]:
        """All of them."""
        return [
            *(self.log_reference(each) for each in results.references),
            *(self.log_retraining(record, towers) for record, towers in results.retrainings),
            *(self.log_confirmation(each) for each in results.confirmations),
        ]

    def log_reference(self, record: ReferenceRecord) -> LoggedResult:
        """The run of a reference."""
        content = reference_content(record, self._connection.context, user=self._user)
        return self._log(content, {KIND: "reference", REFERENCE: record.name})

    def log_retraining(self, record: RetrainRecord, towers: Path | None) -> LoggedResult:
        """The run of a re-training."""
        content = retrain_content(record, self._connection.context, user=self._user)
        return self._log(content, {KIND: "retrain", **retrain_key(record)}, towers)

    def log_confirmation(self, record: ConfirmationRecord) -> LoggedResult:
        """The run that sums up a confirmation."""
        content = confirmation_content(record, self._connection.context, user=self._user)
        return self._log(content, {KIND: "confirmation", SOURCE_TRIAL: str(record.trial)})

    def _log(
        self, content: RunContent, wanted: Mapping[str, str], towers: Path | None = None
    ) -> LoggedResult:
        """A finished run: the one with these tags, or new."""
        context = self._connection.context
        with self._connection.alone() as writer:
            towers = None if writer.store.refuses_artifacts else towers
            found = writer.store.find_runs(writer.experiment_id, {STUDY: context.key, **wanted})
            if found and is_whole(found[0], content, towers, has_inputs=bool(context.rows)):
                return LoggedResult(run_id=found[0].run_id, name=content.name, how=None)
            run = held(found[0]) if found else writer.begin(content)
            writer.finish(run, content, towers=towers)
        how: Literal["made", "completed"] = "completed" if found else "made"
        return LoggedResult(run_id=run.run_id, name=content.name, how=how)
