"""What all tests share."""

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from deeprec.data.dataset import default_cache_dir
from deeprec.training.programs import use_compilation_cache
from search.config.addresses import VARIABLES

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
        return None  # somebody says it
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, memory // MEMORY_EACH, MOST_PROCESSES))


for variable in VARIABLES.values():  # what the user has set is not for the tests
    os.environ.pop(variable, None)


@pytest.fixture(scope="session", autouse=True)
def _prepared() -> None:
    """Many tests train the same small models: two things that save minutes.

    They are compiled once, and the libraries, all imported by now, are no garbage to be looked for.
    """
    use_compilation_cache(default_cache_dir() / "compiled")
    gc.freeze()


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """A command that runs in this process changes it for good."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)
