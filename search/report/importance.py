"""Which parameters decide about the accuracy, as far as the trials of a study say."""

import warnings

import optuna
from optuna.trial import TrialState

from search.space import EXPONENT_SUFFIX

LEAST_TRIALS = 10
"""Complete trials below which importances say more about chance than about parameters."""


def importances_of(study: optuna.Study) -> dict[str, float] | None:
    """Optuna's importances (PED-ANOVA) of the complete trials, the highest first.

    Returns:
        Shares that sum to 1 by the parameter's readable name; None where there are fewer complete
        trials than :data:`LEAST_TRIALS`, or they do not differ.
    """
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if len(complete) < LEAST_TRIALS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of widths that few trials have: their share is 0
            found = optuna.importance.get_param_importances(study)
    except (RuntimeError, ValueError):
        return None
    named = {name.removesuffix(EXPONENT_SUFFIX): float(share) for name, share in found.items()}
    return named if sum(named.values()) > 0 else None
