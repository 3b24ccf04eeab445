"""Calls a function in a process of its own, so that one measurement does not warm another."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from search.config.workspace import PROJECT

QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "JAX_TRACEBACK_FILTERING": "off",  # so that the last line of a traceback is the error
}


class MeasurementError(Exception):
    """Something could not be measured; the message is one line for people."""


def call(
    function: str, arguments: Mapping[str, Any], *, environment: Mapping[str, str] | None = None
) -> Any:
    """What ``MODULE:FUNCTION`` of this package returns in a fresh process.

    Args:
        function: such as ``step:measure``.
        arguments: its keyword arguments, of what JSON can carry.
        environment: variables to set there beside those of this process.

    Raises:
        MeasurementError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.child", function, json.dumps(dict(arguments))],
        cwd=PROJECT,
        env={**os.environ, **QUIET, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode < 0:
        raise MeasurementError(f"killed by signal {-done.returncode}: was there memory enough?")
    if done.returncode > 0:
        raise MeasurementError(last_line(done.stderr) or f"exit code {done.returncode}")
    return json.loads(done.stdout)


def last_line(text: str) -> str:
    """The last line that is not empty: of a traceback, the error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
