"""Hyperparameter search and tracking for the two-tower model of :mod:`deeprec`.

From Python: ``from search import Study``, see :class:`search.study.Study`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.records.errors import InputError, Interrupted, SearchFailedError
    from search.study import Study

__all__ = ["InputError", "Interrupted", "SearchFailedError", "Study"]


def __getattr__(name: str) -> Any:
    """What is exported, imported when it is asked for: a command that needs none of it is quick."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from search import study

    return getattr(study, name)
