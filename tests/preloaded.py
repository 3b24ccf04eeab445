"""Imports what commands import, in the process that forks them; see :mod:`tests.warm`.

It also does once what every command would do again, as it is kept in the process: the mappings and
statements of both databases, the page of the report, and the empty database of MLflow.
"""

import gc
import threading
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from search.execution.runtime import prepare_runtime
from search.tracking.destination import prepare_environment

prepare_runtime()
prepare_environment()
for name in ("recommend", "reproduce", "retrain", "search", "sync"):
    import_module(f"search.commands.{name}")

import optuna  # noqa: E402

from deeprec.evaluation.item_models import slim_weights  # noqa: E402
from deeprec.evaluation.references import CHOICES  # noqa: E402
from tests.mlflow_database import empty_database, use_copies  # noqa: E402
from tests.unit.search.report.made import Made  # noqa: E402

use_copies()
empty_database()
for name, settings in CHOICES.items():  # the best of them all is looked for in tests/data
    CHOICES[name] = settings[:1]
slim_weights.__defaults__ = (1,)  # of eight sweeps, for the same reason
optuna.logging.disable_default_handler()
with TemporaryDirectory() as folder, Made(Path(folder)) as made:
    made.add()
    made.write_report(Path(folder) / "report.html")
optuna.logging.enable_default_handler()
assert threading.active_count() == 1, "a process with threads cannot be forked"
gc.freeze()
