"""The borders between the packages: who may import what, and what an import may cost."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from deeprec.dataset import TrainingData
from search.objective import Objective
from search.workspace import PROJECT

OPTUNA_MODULES = {
    "search.agreement",
    "search.claim",
    "search.conduct",
    "search.contenders",
    "search.databases",
    "search.described",
    "search.dry_run",
    "search.families",
    "search.faults",
    "search.grid",
    "search.launch",
    "search.ledger",
    "search.objective",
    "search.order",
    "search.patience",
    "search.pulse",
    "search.report.facts",
    "search.report.importance",
    "search.report.refreshing",
    "search.samplers",
    "search.schema",
    "search.session",
    "search.space",
    "search.stale",
    "search.storage",
    "search.stored_trials",
    "search.supervision",
    "search.syncing",
    "search.worker",
    "search.worker_process",
}
SLOW = {"deeprec", "jax", "keras", "keras_rs", "mlflow", "optuna", "tensorflow"}
WATCHERS = [
    "search.events",
    "search.progress",
    "search.plain",
    "search.live",
    "search.live_view",
    "search.tally",
    "search.training_tally",
    "search.confirmation_view",
    "search.screen",
    "search.summary",
    "search.trials",
    "search.retrained",
]
QUICK_MODULES = [
    "search.run",
    "search.retrain",
    "search.reproduce",
    "search.recommend",
    "search.serve",
    "search.sync",
    "search.report.__main__",
    "search.cautions",
    "search.opening",
    "search.cli",
    "search.spec",
    "search.sections",
    "search.workspace",
]


def module_name(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for package in ("deeprec", "search")
    for path in sorted((PROJECT / package).rglob("*.py"))
}


def nodes(tree: ast.AST, *, functions: bool) -> Iterator[ast.AST]:
    """The nodes of a module, those in the bodies of functions only if asked for."""
    for node in ast.iter_child_nodes(tree):
        if functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from nodes(node, functions=functions)


def imports(module: str, *, functions: bool = True) -> set[str]:
    """Everything a module imports, with dots: modules, and the names it takes from them."""
    found = set()
    for node in nodes(ast.parse(MODULES[module].read_text("utf-8")), functions=functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(module: str, *, functions: bool = True) -> set[str]:
    """The packages a module imports from."""
    return {name.split(".")[0] for name in imports(module, functions=functions)}


def importers(package: str) -> set[str]:
    """The modules that import a package anywhere."""
    return {module for module in MODULES if package in packages(module)}


# --- who may import what ----------------------------------------------------------------------


def test_both_packages_are_looked_at() -> None:
    assert {"deeprec", "deeprec.training", "search.run", "search.tracking.store"} <= set(MODULES)


def test_the_recommender_knows_neither_search_nor_optuna_nor_mlflow() -> None:
    for module in MODULES:
        if module.startswith("deeprec"):
            assert not packages(module) & {"search", "optuna", "mlflow"}, module


def test_the_modules_that_import_mlflow_are_known() -> None:
    assert importers("mlflow") == {
        "search.tracking.bulk",
        "search.tracking.model_store",
        "search.tracking.serving_model",
        "search.tracking.store",
    }


def test_a_served_model_needs_nothing_of_the_search() -> None:
    assert "search" not in packages("search.tracking.serving_model")
    for module in ("search.promotion", "search.noise"):
        pure = {"collections", "dataclasses", "math", "operator", "scipy", "statistics", "typing"}
        assert not packages(module) - pure - {"search"}


def test_the_modules_that_import_optuna_are_known() -> None:
    assert importers("optuna") == OPTUNA_MODULES


def test_tensorflow_is_imported_in_one_place_when_it_is_needed() -> None:
    for package in ("tensorflow", "tensorflow_datasets"):
        assert importers(package) == {"deeprec.quiet_tensorflow"}
    assert not packages("deeprec.quiet_tensorflow", functions=False) & {
        "tensorflow",
        "tensorflow_datasets",
    }


@pytest.mark.parametrize("module", QUICK_MODULES)
def test_what_answers_at_once_imports_nothing_slow(module: str) -> None:
    assert not packages(module, functions=False) & SLOW


def test_what_watches_a_search_depends_on_plain_records_alone() -> None:
    for module in WATCHERS:
        assert not packages(module) & SLOW, module


# --- the test rows ----------------------------------------------------------------------------


def test_the_objective_is_given_no_way_to_the_test_rows() -> None:
    parameters = inspect.signature(Objective).parameters
    assert set(parameters) == {
        "spec",
        "data",
        "towers_folder",
        "emit",
        "should_stop",
        "on_claimed",
    }
    assert parameters["data"].annotation is TrainingData
    assert {field.name for field in fields(TrainingData)} == {
        "users",
        "movies",
        "train",
        "validation",
    }


def test_the_objective_finds_none_either() -> None:
    ways = ("deeprec.dataset", "deeprec.sources", "deeprec.cache", "deeprec.movielens")
    for module in ("search.objective", "search.worker", "search.space"):
        found = {name for name in imports(module) if name.startswith(ways)}
        assert found <= {"deeprec.dataset.TrainingData"}, module


# --- what an import costs ---------------------------------------------------------------------

OFFLINE = """
import socket, sys

def refuse(*arguments, **options):
    raise AssertionError(f"the network is used at import: {arguments}")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


def loaded_by(*modules: str) -> set[str]:
    """The packages that a fresh process without a network holds after importing the modules."""
    code = OFFLINE + f"import {', '.join(modules)}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return {name.split(".")[0] for name in done.stdout.split()}


def test_help_is_quick_because_nothing_slow_is_loaded_for_it() -> None:
    loaded = loaded_by(*QUICK_MODULES)
    assert "typer" in loaded
    assert not loaded & SLOW


def test_a_worker_starts_without_tracking() -> None:
    functions = imports("search.worker_process")
    modules = {name.rpartition(".")[0] for name in functions if name.startswith("search.")}
    assert {"search.objective", "search.storage", "search.worker"} <= modules
    loaded = loaded_by("search.worker_process", *sorted(modules))
    assert "keras" in loaded
    assert not loaded & {"mlflow", "tensorflow"}


def test_importing_all_of_it_needs_neither_network_nor_tensorflow() -> None:
    loaded = loaded_by(*MODULES)
    assert {"deeprec", "search", "mlflow", "optuna"} <= loaded
    assert not loaded & {"tensorflow", "tensorflow_datasets"}
