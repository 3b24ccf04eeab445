"""Keras without what a search never uses of it: half of the time that importing it takes."""

import importlib
import sys

NEEDLESS = ("matplotlib", "pandas", "sklearn")
"""What Keras imports if it is installed, for its own plots, data frames and scikit-learn wrappers.

MLflow brings all three along. Whoever needs them later imports them as ever.
"""


def import_keras() -> None:
    """Imports Keras and the models, as a command does before all that imports them.

    Only for processes of our own: Keras's plots and wrappers then believe, as long as the
    process lives, that these packages are not installed.
    """
    hidden = [name for name in NEEDLESS if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # an import of it now fails
    try:
        importlib.import_module("deeprec")
    finally:
        for name in hidden:
            del sys.modules[name]
