"""The commands of the documentation that no test runs as they stand, each with the reason."""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class NotRun:
    """Commands that are not run.

    Attributes:
        pattern: a regular expression that matches the whole command.
        reason: why not.
        instead: the file of the tests that run what they do; empty where there is none.
    """

    pattern: str
    reason: str
    instead: str = ""


SERVERS = r"(export (DEEPREC_STORAGE|MLFLOW_TRACKING_URI)=\S+:.*)"

NOT_RUN: Sequence[NotRun] = (
    NotRun(
        r"(FAULTS_TIMES=\d+ )?make (test|faults|bench|lint)",
        "it would run this test, or for an hour; CI runs it",
        "",
    ),
    NotRun(r"make lock", "resolves all packages at an index", ""),
    NotRun(r"make setup", "installs packages from an index; every make target depends on it", ""),
    NotRun(r"make ui", "serves until it is stopped", "tests/faults/servers.py"),
    NotRun(r"make serve", "serves until it is stopped", "tests/flows/test_serving.py"),
    NotRun(r"curl http://127\.0\.0\.1:5001/.*", "needs make serve", "tests/flows/test_serving.py"),
    NotRun(r"(\S*python -m )?pip install .*", "installs packages from an index", ""),
    NotRun(r"git clone .*", "needs a network", ""),
    NotRun(r"cd \S+", "follows git clone", ""),
    NotRun(SERVERS, "servers that are not there", "tests/faults/test_postgres.py"),
    NotRun(
        r"(exec )?python -m search\.run --study tutorial --trials 200 --workers 4",
        "needs the servers named above it",
        "tests/faults/test_postgres.py",
    ),
    NotRun(r"#SBATCH .*", "needs Slurm", "tests/faults/test_postgres.py"),
    NotRun(r"for host in .*ssh .*", "needs other machines", "tests/faults/test_postgres.py"),
    NotRun(
        r"python -m search\.sync .*--tracking-uri http://.*",
        "needs a server on that port",
        "tests/faults/test_tracking.py",
    ),
    NotRun(
        r"(\S*/)?python -m search\.reproduce ([0-9a-f]{32}|RUN_ID)",
        "the run's id differs in every MLflow",
        "tests/flows/test_reproduction.py",
    ),
    NotRun(r"(\S*/)?python -m search\.report .*--open.*", "opens a browser", ""),
    NotRun(r"(FAULTS_TIMES=\d+ )?(\S*/)?pytest .*", "tests do not run tests", ""),
    NotRun(r"\S*ruff .*|\S*mypy", "CI runs them", ""),
)


def reason_not_to_run(command: str) -> NotRun | None:
    """Why a command is not run; None where it is."""
    return next((each for each in NOT_RUN if re.fullmatch(each.pattern, command)), None)
