"""The names of the tags and metrics by which runs are found, compared and shown."""

from search.trials import OBJECTIVE_METRIC

BEST = f"best_{OBJECTIVE_METRIC}"
"""The metric that trials are compared by, on child runs and on the parent."""

STUDY_NAME = "deeprec.study_name"
"""Tag of a study's run; its experiment may have been renamed."""

KIND, STUDY, TRIAL, TOWERS = "deeprec.kind", "deeprec.study", "deeprec.trial", "deeprec.towers"
SOURCE_TRIAL, REFERENCE = "deeprec.source_trial", "deeprec.reference_name"
WRITTEN = "deeprec.written"
"""Tag of a run: digests of its name and its note as they were written last."""

PARENT, NOTE, RUN_NAME = "mlflow.parentRunId", "mlflow.note.content", "mlflow.runName"

RANK = "deeprec.rank"
"""Tag of a complete trial: its place among them by value, from 1."""

TOWERS_FOLDER = "towers"
"""The folder of a run's artifacts that holds its towers."""
