"""What a result came from: the commit and the versions of the libraries."""

import os
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from search.config.workspace import PROJECT

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


LIBRARIES = ("optuna", "mlflow", "keras", "keras-rs", "jax", "tensorflow-datasets", "numpy")

THIS = Path(__file__).resolve()
"""A file that the repository of this project tracks."""

ROUNDING_SETTINGS = {
    "matmul_precision": "JAX_DEFAULT_MATMUL_PRECISION",
    "xla_flags": "XLA_FLAGS",
}

CPUINFO = Path("/proc/cpuinfo")

_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


def library_versions() -> dict[str, str]:
    """Versions of the installed libraries that results depend on."""
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions


def computed_on() -> dict[str, str]:
    """What decides how sums are rounded, by name: the same here is the same everywhere.

    On a CPU that is the processor and how many threads compute; elsewhere the kind of the device.
    Settings of the user that make products more or less exact are part of it.
    """
    import jax  # here, for nothing else of this module takes time

    device = jax.devices()[0]
    settings = {name: os.environ.get(variable) for name, variable in ROUNDING_SETTINGS.items()}
    found = {"device": device.device_kind, **{k: v for k, v in settings.items() if v}}
    if device.platform == "cpu":
        found |= {"device": _processor(), "threads": str(threads())}
    return found


def _processor() -> str:
    """The processor as the system calls it."""
    with suppress(OSError):
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, model = line.partition(":")
            if name.strip() == "model name":
                return model.strip()
    return platform.machine()


def git_commit() -> str | None:
    """The commit of this code, with ``-dirty`` where its files differ; None where git has none.

    A repository that merely lies around the environment, with the package among its ignored files,
    is another project's.
    """
    try:
        _git("ls-files", "--error-unmatch", str(THIS))
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", ".")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PROJECT), *arguments]
    # What a hook of another repository sets would point git to that one.
    ours = {name: each for name, each in os.environ.items() if name not in _OF_A_HOOK}
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=True, timeout=10, env=ours
    )
    return done.stdout.strip()
