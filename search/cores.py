"""The share of the machine that each worker has."""

import os
from collections.abc import Mapping

NPROC = "NPROC"
THREADS = (NPROC, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""How many threads a process may start, by variable: the first for XLA, the rest for NumPy."""

PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"


def available_cores() -> int:
    """The processor cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def threads() -> int:
    """How many threads XLA computes with on a CPU: they decide how it divides sums, and rounds."""
    told = os.environ.get(NPROC, "")
    return int(told) if told.isdecimal() and int(told) > 0 else available_cores()


def cores_each(workers: int) -> int:
    """The cores that each of the workers has, at least one."""
    return max(1, available_cores() // workers)


def worker_environment(workers: int, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of one of several workers; what the user has set stays.

    Args:
        workers: how many there are.
        environment: of this process.
    """
    threads = dict.fromkeys(THREADS, str(cores_each(workers)))
    return {**threads, **shared_accelerator(), **environment}


def shared_accelerator() -> dict[str, str]:
    """The variables of processes that share a GPU: none takes most of its memory at once."""
    return {PREALLOCATE: "false"}
