"""The commands of the documentation that no test runs as they stand, each with the reason."""

import re
from typing import NamedTuple


class NotRun(NamedTuple):
    """Commands that match a whole pattern, why they are not run, and the tests that do the same."""

    pattern: str
    reason: str
    instead: str = ""


POSTGRES, TRACKING = "tests/faults/test_storms.py", "tests/faults/test_tracking.py"
SERVING, REPRODUCTION = "tests/flows/test_serving.py", "tests/flows/test_reproduction.py"
OWN_DATA = "tests/flows/test_own_data.py"

NOT_RUN = tuple(
    NotRun(*each)
    for each in (
        (r"(FAULTS_TIMES=\d+ )?make (test|faults|bench|lint)", "it would run this test; CI does"),
        (r"make lock", "resolves all packages at an index"),
        (r"make setup", "installs packages from an index; every make target depends on it"),
        (r"make groceries", "fetches a package from an index"),
        (
            r"python -m tests\.experiments .*",
            "minutes to an hour",
            "tests/unit/experiments/test_surrogate.py",
        ),
        (
            r"python -m search\.describe .*(log\.csv|completejourney).*",
            "needs files of one's own, or make groceries",
            OWN_DATA,
        ),
        (
            r"python -m search\.\w+ .*--study (shop|grocer)\b.*",
            "needs files of one's own, or make groceries",
            OWN_DATA,
        ),
        (
            r"python -m search\.recommend --liked .*",
            "needs a model that reads histories",
            OWN_DATA,
        ),
        (r"python -m tests\.benchmarks .*", "minutes", "tests/benchmarks/test_smoke.py"),
        (r"make ui", "serves until it is stopped", "tests/faults/servers.py"),
        (r"make serve", "serves until it is stopped", SERVING),
        (r"curl http://127\.0\.0\.1:5001/.*", "needs make serve", SERVING),
        (r"(\S*python -m )?pip install .*", "installs packages from an index"),
        (r"git clone .*", "needs a network"),
        (r"cd \S+", "follows git clone"),
        (
            r"(export (DEEPREC_STORAGE|MLFLOW_TRACKING_URI)=\S+:.*)",
            "servers that are not there",
            POSTGRES,
        ),
        (
            r"(exec )?python -m search\.run --study tutorial --trials 200 --workers 4",
            "needs the servers named above it",
            POSTGRES,
        ),
        (r"#SBATCH .*", "needs Slurm", POSTGRES),
        (
            r"python -m search\.run .*--cluster .*",
            "needs a cluster of Ray",
            "tests/faults/test_cluster.py",
        ),
        (r"python -m search\.run .*--gpus .*", "needs cards"),
        (r"for host in .*ssh .*", "needs other machines", POSTGRES),
        (
            r"python -m search\.sync .*--tracking-uri http://.*",
            "needs a server on that port",
            TRACKING,
        ),
        (
            r"(\S*/)?python -m search\.reproduce ([0-9a-f]{32}|RUN_ID)",
            "the run's id differs in every MLflow",
            REPRODUCTION,
        ),
        (r"(\S*/)?python -m search\.report .*--open.*", "opens a browser"),
        (r"(FAULTS_TIMES=\d+ )?(\S*/)?pytest .*", "tests do not run tests"),
        (r"\S*ruff .*|\S*mypy", "CI runs them"),
    )
)


def reason_not_to_run(command: str) -> NotRun | None:
    """Why a command is not run; None where it is."""
    return next((each for each in NOT_RUN if re.fullmatch(each.pattern, command)), None)
