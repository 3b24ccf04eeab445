"""The settings mlflow takes from the environment alone."""

import os

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing leaves the machine unasked
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the circuit decides when to try again
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",  # seconds; mlflow's own two minutes would stall a trial
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # alembic's too; failures arrive as exceptions
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Ours, by variable; what the user has set stays."""


def prepare_environment() -> None:
    """Set what is not set; to be called before mlflow is imported, which reads some of it."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
