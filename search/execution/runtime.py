"""The process and the machine that compute: Keras and JAX prepared, cores, what results depend on.

Nothing slow is imported here before it is asked for.
"""

import importlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from search.config.addresses import PROJECT
from search.config.reading import Placement
from search.records.errors import InputError

NEEDLESS = ("matplotlib", "pandas", "sklearn")
"""What Keras imports if it is installed, for its own plots, data frames and scikit-learn wrappers:
half of the time that importing it takes. MLflow brings all three along."""

OURS = {"KERAS_BACKEND": "jax", "KERAS_HOME": os.devnull}
"""Keras's settings: what is computed is written for JAX. The file keras.json of the user, which
other projects set to other number types, is not looked for where no folder is."""

CHOSEN = (
    "JAX_PLATFORM",
    "JAX_CUDA_",
    "JAX_ROCM_",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_ENABLE_COMPILATION_CACHE",
    "JAX_LOG",
    "JAX_TRACEBACK",
)
"""How JAX's variables begin that are the user's to choose: where and how exactly is computed, and
what is logged. All others are switches of some other project: with ``JAX_ENABLE_X64`` or
``JAX_DISABLE_JIT`` no trial would succeed, others change its numbers."""


def prepare_runtime(
    *, compilation_cache: bool = True, announce: Callable[[str], None] = lambda _line: None
) -> None:
    """Imports Keras and the models as results need them, whatever the environment says.

    Only for processes of our own: variables that would change what is computed are removed, for
    worker processes as well. Keras's plots and wrappers believe, as long as the process lives, that
    ``NEEDLESS`` are not installed; others that need them later import them as ever.

    Whether JAX may keep compiled programs on disk holds for worker processes, too. What was set
    aside is announced in a line.

    Raises:
        InputError: Keras or JAX cannot be imported with these settings.
    """
    if found := set_aside(os.environ):
        announce(f"not used here, where Keras computes with JAX in float32: {', '.join(found)}")
    if not compilation_cache:
        os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    with _hidden(*(name for name in NEEDLESS if name not in sys.modules)):
        try:
            importlib.import_module("deeprec.model")
        except (ImportError, OSError, ValueError) as error:
            raise InputError(f"Keras and JAX cannot be loaded: {_one_line(error)}") from error
    from deeprec.data.dataset import default_cache_dir, user_cache_dir

    if (cache := default_cache_dir()) != user_cache_dir():  # Matplotlib warns of it at length
        os.environ.setdefault("MPLCONFIGDIR", str(cache / "matplotlib"))


def join_process(*, compilation_cache: bool = True) -> None:
    """Imports Keras and the models into a process that is not ours, whose settings stay.

    Raises:
        InputError: Keras or JAX are set otherwise there than results need them.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import jax
    import keras

    config: Any = jax.config
    for is_wrong, line in (
        (
            keras.config.backend() != "jax",
            f"Keras must compute with JAX but its backend is {keras.config.backend()!r}; set "
            "os.environ['KERAS_BACKEND'] = 'jax' before Keras is imported",
        ),
        (
            keras.config.floatx() != "float32",
            f"Keras must compute in float32 but computes in {keras.config.floatx()}; call "
            "keras.config.set_floatx('float32')",
        ),
        (
            config.jax_enable_x64 or config.jax_disable_jit,
            "JAX must compile, and compute in float32, but jax_enable_x64 or jax_disable_jit is "
            "set; set both to False with jax.config.update",
        ),
    ):
        if is_wrong:
            raise InputError(line)
    if not compilation_cache:
        config.update("jax_enable_compilation_cache", val=False)
    importlib.import_module("deeprec.model")


def set_aside(environment: MutableMapping[str, str]) -> list[str]:
    """Removes the settings of other projects from environment variables, and sets ours.

    Returns what was removed and is worth a word, as ``NAME=value``.
    """
    other = {
        name: value
        for name, value in environment.items()
        if (name.startswith("JAX_") and not name.startswith(CHOSEN))
        or (name.startswith("KERAS_") and value != OURS.get(name))
    }
    for name in other:
        del environment[name]
    environment.update(OURS)
    return [f"{name}={value}" for name, value in sorted(other.items()) if name != "KERAS_HOME"]


def touch_device() -> None:
    """Starts the device that JAX computes on, before anything is written, or InputError."""
    import jax

    try:
        jax.devices()
    except (AssertionError, RuntimeError) as error:
        asked = os.environ.get("JAX_PLATFORMS") or os.environ.get("JAX_PLATFORM_NAME")
        given = f"JAX_PLATFORMS is {asked!r}" if asked else "JAX chose it by itself"
        why = _one_line(error).partition(" (set ")[0] if str(error) else "there is none"
        raise InputError(
            f"the device to compute on cannot be used: {given} ({why}); unset JAX_PLATFORMS, or "
            "set it to cpu"
        ) from error


@contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Has imports of these modules fail."""
    for name in names:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


NPROC = "NPROC"
THREADS = (NPROC, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""How many threads a process may start, by variable: the first for XLA, the rest for NumPy."""

PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"
MEMORY = "XLA_PYTHON_CLIENT_MEM_FRACTION"
CARDS = "CUDA_VISIBLE_DEVICES"

USABLE_SHARE = 0.9  # of a card's memory: drivers and libraries take some of it

WORKER_BYTES = 1_500_000_000  # what a worker on MovieLens takes, generously


def available_cores() -> int:
    """The processor cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def threads() -> int:
    """How many threads XLA computes with on a CPU: they decide how it divides sums, and rounds."""
    given = os.environ.get(NPROC, "")
    return int(given) if given.isdecimal() and int(given) > 0 else available_cores()


def cores_each(workers: int) -> int:
    """The cores that each of the workers has, at least one."""
    return max(1, available_cores() // workers)


def worker_environment(workers: int, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of one of several workers; what the user has set stays."""
    threads = dict.fromkeys(THREADS, str(cores_each(workers)))
    return {**threads, **shared_accelerator(), **environment}


def shared_accelerator(share: float = 0.0) -> dict[str, str]:
    """The variables of processes that share a GPU: none takes most of its memory at once.

    Where each has a share of a card, from 0 to 1, none ever takes more than that.
    """
    limit = {MEMORY: f"{USABLE_SHARE * min(share, 1):.3f}"} if share else {}
    return {PREALLOCATE: "false"} | limit


def card_environments(
    placement: Placement, workers: int, environment: Mapping[str, str]
) -> list[dict[str, str]]:
    """The environments of workers of this machine: one for all, or one for each card."""
    base = worker_environment(workers, environment)
    share = shared_accelerator(1 / placement.per_card)
    return [{**base, **share, CARDS: card} for card in placement.cards] or [base]


def host_environment(placement: Placement, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a worker on a node of a cluster, beside those that the node has.

    What the user has set here of how results are computed holds there, too.
    """
    threads = dict.fromkeys(THREADS, str(placement.cpus))
    chosen = {
        name: value
        for name, value in environment.items()
        if name in THREADS or name.startswith(("JAX_", "XLA_", "KERAS_"))
    }
    return {**threads, **shared_accelerator(placement.gpus), **chosen}


def workers_that_pay(placement: Placement) -> int:
    """As many as this machine has cores and memory for; one for each share of a card."""
    if placement.cards:
        return len(placement.cards) * placement.per_card
    return max(1, min(available_cores(), available_memory() // WORKER_BYTES))


LIBRARIES = ("optuna", "mlflow", "keras", "keras-rs", "jax", "tensorflow-datasets", "numpy")

THIS = Path(__file__).resolve()  # a file that the repository of this project tracks

ROUNDING_SETTINGS = {
    "matmul_precision": "JAX_DEFAULT_MATMUL_PRECISION",
    "xla_flags": "XLA_FLAGS",
}

CPUINFO = Path("/proc/cpuinfo")

_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def out_of_memory_kills(own: Path = OWN_CGROUP, root: Path = CGROUPS) -> int:
    """How many processes of this process's group the kernel has killed so far for want of memory.

    0 where that is not counted: outside of Linux, or without control groups of version 2.
    """
    try:
        events = (_own_group(own, root) / "memory.events").read_text(encoding="ascii").split()
    except (OSError, StopIteration, UnicodeDecodeError):
        return 0
    counts = dict(zip(events[::2], events[1::2], strict=True))
    return int(counts.get("oom_kill", 0))


MEMINFO = Path("/proc/meminfo")


def available_memory(meminfo: Path = MEMINFO, own: Path = OWN_CGROUP, root: Path = CGROUPS) -> int:
    """How many bytes this process may still use, by the machine and by its control group.

    Outside of Linux it is half of what the machine has.
    """
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, UnicodeDecodeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    with suppress(OSError, StopIteration, ValueError):  # no group, or no limit: "max"
        group = _own_group(own, root)
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        used = int((group / "memory.current").read_text(encoding="ascii"))
        return min(1024 * free, limit - used)
    return 1024 * free


def _own_group(own: Path, root: Path) -> Path:
    """The folder of this process's control group, of version 2; OSError or StopIteration."""
    lines = own.read_text(encoding="ascii").splitlines()
    return root / next(line.removeprefix("0::/") for line in lines if line.startswith("0::/"))


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
