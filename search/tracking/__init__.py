"""Tracking in MLflow: one experiment a study, a parent run, a child run a trial.

Optuna's storage is the truth and MLflow a projection of it: all of MLflow's content can be made
again from the records of :mod:`search.records.trials` and the saved towers. From above to below:

- :mod:`~search.tracking.tracker`: what the search calls; nothing raises there
- :mod:`~search.tracking.writing`: all trials compared with their runs; a run begun, compared with
  its content, finished
- :mod:`~search.tracking.connection`, :mod:`~search.tracking.circuit`,
  :mod:`~search.tracking.destination`: whether MLflow is there, and where
- :mod:`~search.tracking.content`, :mod:`~search.tracking.words`, :mod:`~search.tracking.names`:
  what a run holds, by pure functions of records
- :mod:`~search.tracking.models`: the registry
- :mod:`~search.tracking.store`, :mod:`~search.tracking.bulk`, :mod:`~search.tracking.model_store`,
  :mod:`~search.tracking.serving_model`: the modules that import mlflow; the last one is what a
  served model runs

They are imported where they are needed, as mlflow takes long: the rest of the room is cheap.
"""
