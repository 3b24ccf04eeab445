"""Whether a search has stalled: whether many trials in a row have brought no new best one.

The answer is a pure function of the trials in the order of their places, see
:mod:`search.scheduling.next_trial`: of workers that ask at different moments, and of a search that
is interrupted, each stops at the same place.
"""

import operator
from collections.abc import Iterator, Sequence
from itertools import takewhile

from optuna.trial import FrozenTrial, TrialState

from search.config.study import StudySpec
from search.records.costs import Limits
from search.storage.attributes import RETRY_OF
from search.storage.trials import NO_LIMITS, infeasible, was_interrupted, was_superseded


def stall_of(trials: Sequence[FrozenTrial], spec: StudySpec) -> str | None:
    """Why a search of the study is to end, see :func:`stalled`."""
    patience = spec.study.stop_when_stalled
    return stalled(trials, patience, spec.limits.given, spec.directions)


def stalled(
    trials: Sequence[FrozenTrial],
    patience: int | None,
    limits: Limits = NO_LIMITS,
    directions: Sequence[str] = ("maximize",),
) -> str | None:
    """Why the search is to end: so many finished trials in a row without a new best value.

    A trial is a new best one if none before it, within the limits, was as good by all objectives.

    None while the search is to go on, and where there is no patience to lose. What is lost by
    ending then is less than the noise of seeds, see docs/search-quality.md.
    """
    signs = [1 if direction == "maximize" else -1 for direction in directions]
    best: list[list[float]] = []
    since = 0
    for trial in _over(trials) if patience else ():
        if trial.state == TrialState.FAIL:
            continue
        able = trial.state == TrialState.COMPLETE and not infeasible(trial, limits)
        values = [sign * value for sign, value in zip(signs, trial.values or (), strict=False)]
        if able and not any(all(map(operator.ge, other, values)) for other in best):
            best.append(values)
            since = 0
        else:
            since += 1
        if since == patience:
            return f"{since} trials in a row brought no new best"
    return None


def _over(trials: Sequence[FrozenTrial]) -> Iterator[FrozenTrial]:
    """The last try of every place, in their order, up to the first that is not over."""
    tries: dict[int, FrozenTrial] = {}
    for trial in trials:
        if not was_superseded(trial):
            tries[trial.user_attrs.get(RETRY_OF, trial.number)] = trial
    return takewhile(
        lambda trial: trial.state.is_finished() and not was_interrupted(trial), tries.values()
    )
