"""Tracking in MLflow: one experiment a study, a parent run, a child run a trial.

Optuna's storage is the truth and MLflow a projection of it: all of MLflow's content can be made
again from the records of :mod:`search.records.trials` and the saved towers. The parts:

- :mod:`~search.tracking.names`: what runs carry about their study
- :mod:`~search.tracking.destination`: the tracking URI, checked before any work
- :mod:`~search.tracking.names`: what the experiment's page can show, by name
- :mod:`~search.tracking.names`: the names of tags and metrics
- :mod:`~search.tracking.words`: the names of runs and their notes
- :mod:`~search.tracking.texts`: which names and notes are ours to write
- :mod:`~search.tracking.content`: record -> what its run holds (pure functions)
- :mod:`~search.tracking.store`: MLflow's client, the module that imports mlflow for runs
- :mod:`~search.tracking.bulk`: many runs at once, straight into MLflow's SQLite database
- :mod:`~search.tracking.destination`: a database whose folder was copied or moved
- :mod:`~search.tracking.circuit`: a dead or slow server costs one warning, never a trial
- :mod:`~search.tracking.checking`: whether MLflow can be used, before any work
- :mod:`~search.tracking.connection`: the study's experiment and parent run, when first needed
- :mod:`~search.tracking.writing`: content -> MLflow
- :mod:`~search.tracking.reconciliation`: what is missing is made, what is stale is closed
- :mod:`~search.tracking.study_runs`, :mod:`~search.tracking.result_runs`: parent and trials;
  references, re-trainings and confirmations
- :mod:`~search.tracking.model_content`: what the registry holds of a model (pure functions)
- :mod:`~search.tracking.model_store`, :mod:`~search.tracking.serving_model`: the modules that
  import mlflow for models; the latter is the code that a served model runs
- :mod:`~search.tracking.models`: models logged, registered, promoted, and found again
- :mod:`~search.tracking.tracker`: what the search calls
- :mod:`~search.tracking.connection`: a run read back, to be trained again

Importing this package is cheap: mlflow itself is imported by :func:`check_mlflow`.
"""

from search.tracking.checking import check_mlflow
from search.tracking.connection import read_run
from search.tracking.destination import resolve_uri
from search.tracking.models import Models, Published, published_folder
from search.tracking.names import StudyContext
from search.tracking.reconciliation import Reconciled
from search.tracking.result_runs import LoggedResult, Results
from search.tracking.tracker import Tracker, open_tracker

__all__ = [
    "LoggedResult",
    "Models",
    "Published",
    "Reconciled",
    "Results",
    "StudyContext",
    "Tracker",
    "check_mlflow",
    "open_tracker",
    "published_folder",
    "read_run",
    "resolve_uri",
]
