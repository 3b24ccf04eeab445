"""Imports what commands import, in the process that forks them; see :mod:`tests.warm`."""

import gc
from importlib import import_module

from search.execution.runtime import prepare_runtime
from search.tracking.destination import prepare_environment

prepare_runtime()
prepare_environment()
for name in ("recommend", "reproduce", "retrain", "search", "sync"):
    import_module(f"search.commands.{name}")
import_module("search.report.writing")
import_module("search.tracking.store")
gc.freeze()
