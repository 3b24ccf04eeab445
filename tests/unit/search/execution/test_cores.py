"""The share of a worker: threads and memory, unless the user decided."""

import os
import subprocess
import sys

import pytest

from search.execution import machine as cores
from search.execution.machine import PREALLOCATE, THREADS, cores_each, threads, worker_environment

COUNT = """
import os, jax
jax.numpy.ones((300, 300)).dot(jax.numpy.ones((300, 300))).block_until_ready()
names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
print(sum(name.startswith("tf_XLAEigen") for name in names))
"""


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "available_cores", lambda: 8)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("workers", "each"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_cores_are_divided_and_everybody_has_one(workers: int, each: int) -> None:
    assert cores_each(workers) == each
    environment = worker_environment(workers, {})
    assert {name: environment[name] for name in THREADS} == dict.fromkeys(THREADS, str(each))


def test_a_gpu_is_shared() -> None:
    assert worker_environment(2, {})[PREALLOCATE] == "false"


@pytest.mark.usefixtures("eight_cores")
def test_what_the_user_has_set_stays() -> None:
    own = {"NPROC": "3", PREALLOCATE: "true", "HOME": "/home/me"}
    environment = worker_environment(2, own)
    assert own.items() <= environment.items()
    assert environment["OMP_NUM_THREADS"] == "4"


@pytest.mark.parametrize("threads", [1, 3])
def test_xla_starts_as_many_threads_as_it_is_told(threads: int) -> None:
    environment = {**os.environ, "NPROC": str(threads), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == f"{threads}\n", done.stderr


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("told", "count"), [("3", 3), ("", 8), ("0", 8), ("many", 8)])
def test_threads_are_as_many_as_xla_is_told_or_cores(
    monkeypatch: pytest.MonkeyPatch, told: str, count: int
) -> None:
    monkeypatch.setenv("NPROC", told)
    assert threads() == count
