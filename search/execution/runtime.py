"""The process that a command computes in: prepared before anything slow is imported."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager

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

    Args:
        compilation_cache: whether JAX may read and write compiled programs on disk; worker
            processes do as this one.
        announce: told in a line what was set aside.

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


def set_aside(environment: MutableMapping[str, str]) -> list[str]:
    """Removes the settings of other projects from environment variables, and sets ours.

    Returns:
        What was removed and is worth a word, as ``NAME=value``.
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
    """Starts the device that JAX computes on: to be called before anything is written.

    Raises:
        InputError: there is none such as the environment asks for.
    """
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
