"""A run of ours, read back from MLflow."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from search.errors import InputError
from search.logged import LoggedKind, LoggedRun
from search.tracking.connection import STUDY_FILE
from search.tracking.destination import resolve_uri
from search.tracking.environment import prepare_environment
from search.tracking.keys import KIND, STUDY, STUDY_NAME

if TYPE_CHECKING:
    from search.tracking.store import Store

EVERY_EPOCH = "train_loss"


def read_run(uri: str | None, run_id: str, *, folder: Path) -> LoggedRun:
    """Read a trial's run or that of a re-training, with the study file of its study.

    Args:
        uri: ``http(s)://...`` or ``sqlite:///...``; None for the database in the folder.
        run_id: MLflow's.
        folder: of the default database, usually ``mlruns``.

    Raises:
        InputError: MLflow cannot be used, has no such run, or it is no run that can be trained.
    """
    destination = resolve_uri(uri, folder)
    if destination.database is not None and not destination.database.is_file():
        raise InputError(
            f"there is no MLflow database {destination.database}; search a study first, or name "
            "another with --tracking-uri"
        )
    prepare_environment()
    from search.tracking import store as mlflow_store  # here, for mlflow takes 1.5 s to import

    try:
        return _read(mlflow_store.Store(destination), run_id)
    except InputError:
        raise
    except Exception as error:
        cause = mlflow_store.explain(error, destination)
        raise InputError(
            f"run {run_id!r} cannot be read: {cause}; its id stands on its page in MLflow"
        ) from error


def _read(store: "Store", run_id: str) -> LoggedRun:
    run = store.get_run(run_id)
    kind = run.tags.get(KIND)
    if kind not in ("trial", "retrain"):
        raise InputError(
            f"RUN_ID must be the run of a trial or of a re-training but {run_id} is "
            + (f"of kind {kind!r}" if kind else "no run of ours")
        )
    experiment_id, study = store.experiment_of(run_id)
    parents = store.find_runs(experiment_id, {STUDY: run.tags[STUDY], KIND: "study"})
    if not parents:
        raise InputError(f"run {run_id} cannot be reproduced: the run of its study is gone")
    return LoggedRun(
        run_id=run_id,
        name=run.tags.get("mlflow.runName", run_id),
        study=parents[0].tags.get(STUDY_NAME, study),
        kind=cast("LoggedKind", kind),
        params=run.params,
        metrics=run.latest,
        tags=run.tags,
        epochs=store.last_step(run_id, EVERY_EPOCH),
        spec_text=store.text_of(parents[0].run_id, STUDY_FILE),
    )
