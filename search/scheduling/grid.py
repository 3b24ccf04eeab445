"""A sampler that tries every configuration of a list, once.

Optuna's own grid sampler wants a rectangular grid; here the number of widths depends on the
depth, and a width on the one after it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from search.storage.attributes import FIXED_PARAMETERS, GRID_PARAMETERS
from search.storage.trials import tried_by, was_superseded

Parameters = Mapping[str, int | float]


class ListSampler(BaseSampler):
    """Tries a list of parameters in a shuffled order, each once.

    It has no memory of its own: what was tried is read from the trials of the study, so a search
    that is resumed continues the same order, and an enqueued trial that lies on the grid is not
    repeated. A choice is reserved when its trial is created; workers that create trials one at a
    time never choose the same.

    A configuration whose trial failed counts as tried: one that always fails must not hold up
    the others. A trial that was interrupted runs again once it is enqueued again.
    """

    def __init__(self, parameters: Iterable[Parameters], *, seed: int) -> None:
        """Fix the order of the parameters, by a seed that every trial of a study shares."""
        listed = list(parameters)
        order = np.random.default_rng(seed).permutation(len(listed))
        self._ordered: Sequence[Parameters] = [listed[index] for index in order]

    def remaining(self, study: Study) -> int:
        """How many entries of the list no trial of the study has tried or is about to try."""
        return len(self._untried(_all_trials(study)))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Reserve the next untried parameters that agree with those the trial came with."""
        others = [other for other in _all_trials(study) if other.number != trial.number]
        fixed = trial.system_attrs.get(FIXED_PARAMETERS, {})
        # What is left of a trial that was killed while it was being sampled is completed, even
        # if the list has nothing new that agrees with it.
        pool = self._agreeing(self._untried(others), fixed) or (
            self._agreeing(self._ordered, fixed) if fixed else []
        )
        if pool:
            study._storage.set_trial_system_attr(trial._trial_id, GRID_PARAMETERS, dict(pool[0]))

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing: parameters are asked for one by one."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing: parameters are asked for one by one."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The reserved value; RuntimeError if nothing was left, see :meth:`remaining`."""
        reserved = trial.system_attrs.get(GRID_PARAMETERS)
        if reserved is None:
            raise RuntimeError(
                f"the grid is exhausted: all of its {len(self._ordered)} configurations were tried"
            )
        return reserved[param_name]

    def _untried(self, trials: Iterable[FrozenTrial]) -> list[Parameters]:
        tried = {_key(tried_by(trial)) for trial in trials if not was_superseded(trial)}
        return [parameters for parameters in self._ordered if _key(parameters) not in tried]

    @staticmethod
    def _agreeing(candidates: Sequence[Parameters], fixed: Parameters) -> list[Parameters]:
        return [parameters for parameters in candidates if fixed.items() <= parameters.items()]


def _all_trials(study: Study) -> list[FrozenTrial]:
    """Every trial: under the Hyperband pruner a sampler's study shows only those of one bracket."""
    return study._storage.get_all_trials(study._study_id, deepcopy=False)


def _key(parameters: Parameters) -> frozenset[tuple[str, int | float]]:
    return frozenset(parameters.items())
