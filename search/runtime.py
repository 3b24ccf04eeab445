"""The process that a command computes in: prepared before anything slow is imported."""

import importlib
import os
import sys

NEEDLESS = ("matplotlib", "pandas", "sklearn")
"""What Keras imports if it is installed, for its own plots, data frames and scikit-learn wrappers:
half of the time that importing it takes. MLflow brings all three along."""


def prepare_runtime(*, compilation_cache: bool = True) -> None:
    """Imports Keras and the models, as a command does before all that imports them.

    Only for processes of our own: Keras's plots and wrappers then believe, as long as the process
    lives, that these packages are not installed. Whoever needs them later imports them as ever.

    Args:
        compilation_cache: whether JAX may read and write compiled programs on disk; worker
            processes do as this one.
    """
    if not compilation_cache:
        os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    hidden = [name for name in NEEDLESS if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # an import of it now fails
    try:
        importlib.import_module("deeprec")
    finally:
        for name in hidden:
            del sys.modules[name]
