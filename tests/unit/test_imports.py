"""The borders between the packages: who may import what, and what an import may cost."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest

from deeprec.data.dataset import TrainingData
from search.config.addresses import PROJECT
from search.execution.objective import Objective
from tests.tiny_recommender import tiny_dataset


def of(package: str, *names: str) -> list[str]:
    return [f"{package}.{name}" for name in names]


ROOMS = [
    "search",
    *of("search", "commands", "report", "confirmation", "session", "tracking", "execution"),
    *of("search", "scheduling", "display", "analysis", "storage", "config", "records"),
    "deeprec",
    *of(
        "deeprec",
        "recommender",
        "recommender_files",
        "retrieval",
        "evaluation",
        "training",
        "model",
        "events",
        "data",
        "sources",
    ),
]
"""From the top to the bottom: what is in a room imports what is in it, or below it."""

BASE = {"deeprec", "deeprec.config", "deeprec.errors", "deeprec.parts"}
"""What every room of the recommender may import: the backend's name, what to train, its errors."""

KNOW_OPTUNA = {
    *of("search", "commands", "confirmation", "session", "report"),
    *of("search", "execution", "scheduling", "storage", "config"),
}
SLOW = {"jax", "keras", "keras_rs", "mlflow", "optuna", "tensorflow"}
LIGHT_MODULES = of("deeprec", "config", "errors", "data.dataset", "data.profiles")
PLAIN_ROOMS = ("search.display", "search.analysis", "search.records")
QUICK_MODULES = [
    *of(
        "search",
        "run",
        "retrain",
        "reproduce",
        "recommend",
        "export",
        "serve",
        "sync",
        "report.__main__",
    ),
    *of("search", "study", "commands.cli", "config.study", "config.addresses"),
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
    return {name.split(".")[0] for name in imports(module, functions=functions)}


def importers(package: str) -> set[str]:
    return {module for module in MODULES if package in packages(module)}


def room_of(module: str) -> str:
    """The room a module is in; commands that are started, wherever they lie, are above all."""
    package, _, name = module.rpartition(".")
    if name == "__main__" or (module in QUICK_MODULES and package == "search"):
        return "search"
    return module if module in ROOMS else package


def test_every_module_has_a_room() -> None:
    assert {room_of(module) for module in MODULES} == set(ROOMS)


def test_a_room_imports_itself_and_what_is_below_it() -> None:
    for module in MODULES.keys() - BASE:
        above = ROOMS[: ROOMS.index(room_of(module))]
        for name in imports(module):
            imported = name if name in MODULES else name.rpartition(".")[0]
            if imported in MODULES.keys() - BASE:
                assert room_of(imported) not in above, f"{module} imports {imported}"


def test_a_room_holds_sixteen_modules_at_most() -> None:
    for room in ROOMS:
        assert sum(room_of(module) == room for module in MODULES) <= 16, room


def test_the_recommender_knows_neither_search_nor_optuna_nor_mlflow() -> None:
    for module in MODULES:
        if module.startswith("deeprec"):
            assert not packages(module) & {"search", "optuna", "mlflow"}, module


def test_the_modules_that_import_mlflow_are_known() -> None:
    known = of("search.tracking", "bulk", "model_store", "serving_model", "store")
    assert importers("mlflow") == set(known)


def test_a_served_model_needs_nothing_of_the_search() -> None:
    assert "search" not in packages("search.tracking.serving_model")
    for module in ("search.analysis.verdict", "search.analysis.noise"):
        assert not packages(module) - sys.stdlib_module_names - {"numpy", "scipy", "search"}


def test_what_shows_and_judges_depends_on_plain_records_alone() -> None:
    rooms = {room_of(module) for module in importers("optuna")}
    assert rooms == KNOW_OPTUNA
    for module in MODULES:
        if room_of(module) in PLAIN_ROOMS:
            assert not packages(module) & {"deeprec", *SLOW}, module


def test_tensorflow_is_imported_in_one_place_when_it_is_needed() -> None:
    quiet = "deeprec.sources.quiet_tensorflow"
    for package in ("tensorflow", "tensorflow_datasets"):
        assert importers(package) == {quiet}
        assert package not in packages(quiet, functions=False)


@pytest.mark.parametrize("module", QUICK_MODULES)
def test_what_answers_at_once_imports_nothing_slow(module: str) -> None:
    assert not packages(module, functions=False) & SLOW


def test_the_objective_is_given_no_way_to_the_test_rows() -> None:
    parameters = inspect.signature(Objective).parameters
    assert set(parameters) == {"spec", "data", "towers_folder", "hooks"}
    assert parameters["data"].annotation is TrainingData
    held = {field.name for field in fields(TrainingData)}
    assert held == {"users", "movies", "train", "validation", "reserved", "repeats", "names"}
    dataset = tiny_dataset()
    assert len(dataset.interactions)
    names = dataset.training(dataset.interactions).names
    assert names is not None
    assert len(names.interactions) == 0
    with pytest.raises(ValueError, match="names must hold no interactions"):
        replace(dataset.training(dataset.interactions), names=dataset)


def test_the_objective_finds_none_either() -> None:
    ways = ("deeprec.data.dataset", "deeprec.data.cache", "deeprec.events", "deeprec.sources")
    for module in ("search.execution.objective", "search.execution.loop", "search.config.space"):
        found = {name for name in imports(module) if name.startswith(ways)}
        assert found <= {"deeprec.data.dataset.TrainingData"}, module


OFFLINE = """
import socket, sys

def refuse(*arguments, **options):
    raise AssertionError(f"the network is used at import: {arguments}")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


def loaded_by(*modules: str) -> set[str]:
    """The packages that a fresh process without a network holds after importing the modules."""
    code = OFFLINE + f"import {', '.join(modules)}\nprint(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return {name.split(".")[0] for name in done.stdout.split()}


def test_what_describes_data_and_training_loads_nothing_slow() -> None:
    loaded = loaded_by(*LIGHT_MODULES)
    assert not loaded & SLOW


def test_help_is_quick_because_nothing_slow_is_loaded_for_it() -> None:
    loaded = loaded_by(*QUICK_MODULES)
    assert "typer" in loaded
    assert not loaded & SLOW


def test_a_worker_claims_without_keras_and_jax_and_trains_without_tracking() -> None:
    found = {name.rpartition(".")[0] for name in imports("search.execution.worker_process")}
    modules = {name for name in found if name.startswith("search.")}
    training = {"search.execution.data", "search.execution.objective"}
    assert training < modules
    claiming = loaded_by("search.execution.worker_process", *sorted(modules - training))
    assert "optuna" in claiming
    assert not claiming & {"jax", "keras", "mlflow", "tensorflow"}
    loaded = loaded_by("search.execution.worker_process", *sorted(modules))
    assert "keras" in loaded
    assert not loaded & {"mlflow", "tensorflow"}


def test_importing_all_of_it_needs_neither_network_nor_tensorflow() -> None:
    loaded = loaded_by(*MODULES)
    assert {"deeprec", "search", "mlflow", "optuna"} <= loaded
    assert not loaded & {"tensorflow", "tensorflow_datasets"}
