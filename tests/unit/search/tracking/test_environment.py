"""What mlflow takes from the environment, and what importing costs."""

import os
import subprocess
import sys

import pytest

from search.tracking.destination import SETTINGS, prepare_environment


def test_what_the_user_set_in_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    prepare_environment()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_importing_the_package_imports_neither_mlflow_nor_matplotlib() -> None:
    code = (
        "import sys, search.tracking; "
        "heavy = {'mlflow', 'matplotlib', 'optuna', 'keras', 'deeprec'}; "
        "sys.exit(bool(heavy & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
