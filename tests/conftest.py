"""What all tests share."""

import gc
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import settings

from deeprec.data.dataset import default_cache_dir
from deeprec.training.programs import use_compilation_cache
from search.config.addresses import VARIABLES
from tests.mlflow_database import use_copies
from tests.shared import confirmed as confirmed
from tests.shared import dataset as dataset
from tests.shared import searched as searched
from tests.shared import small_cache_home as small_cache_home

# Shared machines are slow at times: no example has a time limit. CI tries the same examples every
# time, so that a change is judged by what it changes; elsewhere they are drawn anew.
settings.register_profile("deeprec", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("deeprec")

MEMORY_EACH = 3 << 29
"""What a process of tests may need at most, with the commands it starts: 1.5 GiB."""

MOST_PROCESSES = 8
"""With more of them the longest file decides how long all tests take."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """How many processes ``-n auto`` is: one a core, if there is memory for them."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, memory // MEMORY_EACH, MOST_PROCESSES))


LEFT_OUT: Counter[str] = Counter()
"""How many tests ``-m`` has left out, by their mark: ``slow`` and ``storm``, or another."""


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        marks = [name for name in ("slow", "storm") if item.get_closest_marker(name)]
        LEFT_OUT[marks[0] if marks else "other"] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of xdist hands over what it has left out, which is the same in all of them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left out"] = dict(LEFT_OUT)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    LEFT_OUT.update(Counter(getattr(node, "workeroutput", {}).get("left out", {})) - LEFT_OUT)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Says at the end what was not run, and why; what was skipped, ``-ra`` says."""
    why = dict(line.split(": ", 1) for line in config.getini("markers") if ": " in line)
    for name, count in sorted(LEFT_OUT.items()):
        reason = why.get(name, "not what -m or -k asked for")
        terminalreporter.write_line(f"LEFT OUT [{count}] {name}: {reason}")


for variable in VARIABLES.values():  # what the user has set is not for the tests
    os.environ.pop(variable, None)

# Compiling takes longer than most trainings of the tests: with these a quarter as long. XLA reads
# the flags when a process first computes, so the commands that are started here have them, too.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)


@pytest.fixture(scope="session", autouse=True)
def _prepared() -> None:
    """Three things that save minutes.

    Small models are compiled once, MLflow's tables are made once, and the libraries, all imported
    by now, are no garbage to be looked for.
    """
    use_compilation_cache(default_cache_dir() / "compiled")
    use_copies()
    gc.freeze()


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """A command that runs in this process changes it for good."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)
