"""Whether a search has stalled: whether its last trials gained less than the noise of a training.

The answer is a pure function of the trials in the order of their places, see
:mod:`search.scheduling.next_trial`: of workers that ask at different moments, and of a search that
is interrupted, each stops at the same place.
"""

import math
import statistics
from bisect import insort
from collections.abc import Iterator, Sequence
from itertools import takewhile

from optuna.trial import FrozenTrial, TrialState

from search.storage.attributes import RETRY_OF
from search.storage.trials import was_interrupted, was_superseded

OVER_SEEDS = 2.0
"""How much more the values of one configuration deviate over seeds than single validations do
within a curve: about so many times for both studies of MovieLens."""


def stalled(trials: Sequence[FrozenTrial], patience: int | None) -> str | None:
    """Why the search is to end: so many finished trials in a row without a significant new best.

    A new best is significant where it exceeds the last significant one by more than the noise,
    :data:`OVER_SEEDS` times the median :func:`fluctuation` of the curves so far: a plateau is not
    left by lucky draws. As with a ``min_delta`` of ``keras.callbacks.EarlyStopping``, slow gains
    add up.

    None while the search is to go on, and where there is no patience to lose.
    """
    if patience is None:
        return None
    best, since, fluctuations = -math.inf, 0, list[float]()
    for trial in _over(trials):
        if trial.state == TrialState.FAIL:
            continue
        value = -math.inf
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            value = trial.value
            if (own := fluctuation(list(trial.intermediate_values.values()))) is not None:
                insort(fluctuations, own)
        noise = OVER_SEEDS * statistics.median(fluctuations) if fluctuations else 0.0
        best, since = (value, 0) if value > best + noise else (best, since + 1)
        if since == patience:
            return f"{since} trials in a row raised the best by no more than the noise, {noise:.4f}"
    return None


def fluctuation(values: Sequence[float]) -> float | None:
    """The noise of one validation: what the later half of a curve deviates from being straight.

    The second differences of independent noise have six times its variance. None where fewer than
    three values are left.
    """
    later = values[max(len(values) // 2 - 1, 0) :]
    seconds = [a - 2 * b + c for a, b, c in zip(later, later[1:], later[2:], strict=False)]
    return math.sqrt(statistics.fmean(each**2 for each in seconds) / 6) if seconds else None


def _over(trials: Sequence[FrozenTrial]) -> Iterator[FrozenTrial]:
    """The last try of every place, in their order, up to the first that is not over."""
    tries: dict[int, FrozenTrial] = {}
    for trial in trials:
        if not was_superseded(trial):
            tries[trial.user_attrs.get(RETRY_OF, trial.number)] = trial
    return takewhile(
        lambda trial: trial.state.is_finished() and not was_interrupted(trial), tries.values()
    )
