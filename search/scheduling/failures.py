"""Failures that are not the fault of a trial's configuration: it runs again."""

import copy
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from search.records.errors import is_disk_full
from search.storage.attributes import ERROR, INTERRUPTED
from search.storage.trials import family_of, was_interrupted, was_superseded

LEAST_FAILURES = 3
"""So many failures in a row, at least, say something about what they have in common."""


def environment_fault(error: BaseException) -> str | None:
    """Why no configuration could have been trained, in one line for people.

    Returns:
        The reason, with what to do about it; None where the configuration may be at fault.
    """
    if is_disk_full(error):
        return f"the disk is full ({error}); make room, and start the same command again"
    if isinstance(error, OSError | ImportError):
        cause = " ".join(str(error).split()) or type(error).__name__
        return f"this is no fault of the trial: {cause}; mend it, and start the same command again"
    return None


def excused(trials: Sequence[FrozenTrial], limit: int) -> list[FrozenTrial]:
    """The trials as what runs next is decided by: those without a fair run count as interrupted.

    Where one configuration after another fails with the same type of error until the search gives
    up, the fault is the environment's: a device that broke, a library of another version. The next
    search tries them again, with the same seeds. It stops as soon if nothing has changed.

    Args:
        trials: of the study, in the order of their numbers.
        limit: how many failures in a row end a search.
    """
    found = list(trials)
    for row in _rows_of_one_error(trials):
        families = {family_of(trial) for trial in row}
        if len(row) >= max(limit, LEAST_FAILURES) and len(families) >= LEAST_FAILURES:
            for trial in row:
                found[trial.number] = copy.copy(trial)
                found[trial.number].user_attrs = {**trial.user_attrs, INTERRUPTED: True}
    return found


def _rows_of_one_error(trials: Sequence[FrozenTrial]) -> list[list[FrozenTrial]]:
    """Failed trials one after another, with no other end of a trial between them."""
    rows: list[list[FrozenTrial]] = [[]]
    for trial in trials:
        if not trial.state.is_finished() or was_interrupted(trial) or was_superseded(trial):
            continue
        error = trial.user_attrs.get(ERROR) if trial.state == TrialState.FAIL else None
        if error is None or (rows[-1] and rows[-1][-1].user_attrs[ERROR] != error):
            rows.append([])
        if error is not None:
            rows[-1].append(trial)
    return rows
