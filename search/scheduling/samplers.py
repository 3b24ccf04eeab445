"""The sampler, a grid among them, and the pruner that a study file names, every option explicit.

A study has one seed. Whatever draws at random (the sampler of trial 7, the weights of trial 7,
the order of a grid) asks for a seed of its own and names its purpose. So a draw depends on
nothing that happened before it: a search that was interrupted goes on exactly as it would have.

A sampler is made anew for every trial, with such a seed. None of them keeps anything in memory from
one trial to the next: TPE and random need nothing but the results, the genetic algorithm and CMA-ES
keep their state in the study's storage.
"""

import hashlib
import importlib.util
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from optuna import Study, create_study, pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from search.config import strategies
from search.config.addresses import call
from search.config.space import (
    common_distributions,
    enumerate_configurations,
    parameters_of,
    suggest,
)
from search.config.study import StudySpec
from search.records.errors import InputError
from search.storage.attributes import FIXED_PARAMETERS, GRID_PARAMETERS
from search.storage.trials import tried_by, was_superseded

SEED_BOUND = 2**31  # seeds are below this, which NumPy, Keras and Optuna all accept


def derive_seed(study_seed: int, *purpose: int | str) -> int:
    """The seed in ``[0, 2**31)`` for one purpose, such as ``derive_seed(0, "sampler", 7)``.

    The same arguments give the same seed on every machine and Python version. Different
    arguments (their order and types included) give seeds that are independent for all practical
    purposes: they are bits of SHA-256.
    """
    text = json.dumps([study_seed, *purpose])
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") % SEED_BOUND


PROPOSALS = 16
"""How often a sampler is asked for a configuration that was not tried before chance decides."""


def make_sampler(spec: StudySpec, seed: int, *, others_run: bool = False) -> samplers.BaseSampler:
    """The sampler of the study for one trial; InputError where a package it needs is missing.

    The seed is in ``[0, 2**31)``; the order of a grid follows from the study's.
    """
    with _experimental():
        match spec.sampler:
            case strategies.TpeOptions() as options:
                return samplers.TPESampler(
                    n_startup_trials=options.startup_trials,
                    n_ei_candidates=options.ei_candidates,
                    multivariate=options.multivariate,
                    group=options.group,
                    # Takes running trials for bad ones, so that workers do not all try the same.
                    constant_liar=others_run,
                    seed=seed,
                )
            case strategies.RandomOptions():
                return samplers.RandomSampler(seed=seed)
            case strategies.GridOptions():
                return make_grid(spec)
            case strategies.CmaesOptions() as options:
                return _cmaes(options, spec, seed)
            case strategies.NsgaiiOptions() as options:
                return samplers.NSGAIISampler(
                    population_size=options.population_size,
                    mutation_prob=options.mutation_probability,
                    crossover_prob=options.crossover_probability,
                    swapping_prob=options.swapping_probability,
                    seed=seed,
                )


def sampler_of_next(
    study: Study, trials: Sequence[FrozenTrial], spec: StudySpec, place: int, *, others_run: bool
) -> samplers.BaseSampler:
    """The sampler of a trial that is neither enqueued nor run again.

    Where the space is finite, its seed is the first under which it proposes a configuration that
    no trial has tried: of what is known nothing is learned by asking again.
    """
    own = derive_seed(spec.study.seed, "sampler", place)
    as_usual = partial(make_sampler, spec, own, others_run=others_run)
    tried = {frozenset(tried_by(trial).items()) for trial in _begun(trials)}
    if not spec.space.is_finite or isinstance(spec.sampler, strategies.GridOptions) or not tried:
        return as_usual()
    again = [derive_seed(own, "again", attempt) for attempt in range(PROPOSALS)]
    makers: list[Callable[[], samplers.BaseSampler]] = [
        as_usual,
        *(partial(make_sampler, spec, seed, others_run=others_run) for seed in again),
        *(
            partial(samplers.RandomSampler, seed=seed) for seed in again
        ),  # the sampler insists on a few
    ]
    fresh = (make for make in makers if _proposal(make(), study, trials, spec) not in tried)
    return next(fresh, as_usual)()


def _proposal(
    sampler: samplers.BaseSampler, study: Study, trials: Sequence[FrozenTrial], spec: StudySpec
) -> frozenset[tuple[str, int | float]]:
    """What a sampler would choose next; it is used up by that, and the study is not touched."""
    scratch = create_study(directions=spec.directions, pruner=study.pruner, sampler=sampler)
    scratch.add_trials(_begun(trials))
    trial = scratch.ask()
    suggest(trial, spec.space)
    return frozenset(trial.params.items())


def _begun(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state != TrialState.WAITING]


def make_grid(spec: StudySpec) -> "ListSampler":
    """The grid sampler of a study whose sampler is ``grid``."""
    if not isinstance(spec.sampler, strategies.GridOptions):
        raise TypeError(f"the sampler must be 'grid' but got {spec.sampler.name!r}")
    grid = enumerate_configurations(spec.space, spec.sampler.learning_rates)
    order = derive_seed(spec.study.seed, "grid order")
    return ListSampler(map(parameters_of, grid), seed=order)


def make_pruner(spec: StudySpec) -> pruners.BasePruner:
    """The pruner of the study. Its steps are epochs: ``trial.report(value, step=epoch)``."""
    match spec.pruner:
        case strategies.MedianOptions() as options:
            return _percentile(options, 50.0)
        case strategies.PercentileOptions() as options:
            return _percentile(options, options.percentile)
        case strategies.PatientOptions() as options:
            with _experimental():
                return pruners.PatientPruner(
                    _percentile(options, 50.0), patience=options.patience, min_delta=0.0
                )
        case strategies.SuccessiveHalvingOptions() as options:
            return pruners.SuccessiveHalvingPruner(
                min_resource=options.min_epochs,
                reduction_factor=options.reduction_factor,
                min_early_stopping_rate=0,
                bootstrap_count=0,
            )
        case strategies.HyperbandOptions() as options:
            return pruners.HyperbandPruner(
                min_resource=options.min_epochs,
                max_resource=spec.training.epochs,
                reduction_factor=options.reduction_factor,
                bootstrap_count=0,
            )
        case strategies.NoPrunerOptions():
            return pruners.NopPruner()


def _cmaes(options: strategies.CmaesOptions, spec: StudySpec, seed: int) -> samplers.BaseSampler:
    if importlib.util.find_spec("cmaes") is None:
        raise InputError(
            "sampler 'cmaes' needs the package cmaes, which is not installed "
            f"({call('pip', 'install')} '.[samplers]', or choose another sampler)"
        )
    return CommonCmaEsSampler(
        common_distributions(spec.space),
        n_startup_trials=options.startup_trials,
        popsize=options.population_size,
        with_margin=options.margin,
        consider_pruned_trials=options.use_pruned_trials,
        warn_independent_sampling=False,
        use_separable_cma=False,
        lr_adapt=False,
        seed=seed,
    )


def _percentile(
    options: strategies.MedianOptions | strategies.PercentileOptions | strategies.PatientOptions,
    kept: float,
) -> pruners.BasePruner:
    return pruners.PercentilePruner(
        kept,
        n_startup_trials=options.startup_trials,
        n_warmup_steps=options.warmup_epochs,
        interval_steps=1,
        n_min_trials=1,
    )


def _experimental() -> Any:
    """Quiet about experimental options of Optuna, which the study file has chosen."""
    return warnings.catch_warnings(action="ignore", category=ExperimentalWarning)


class CommonCmaEsSampler(samplers.CmaEsSampler):
    """CMA-ES over the parameters that every trial has; the hidden widths are drawn at random.

    CMA-ES needs a fixed number of dimensions. Optuna takes the parameters that all trials so
    far happen to share; if that set shrinks once a generation is done, it draws at random for
    ever after, without a word.
    """

    def __init__(self, common: dict[str, BaseDistribution], **options: Any) -> None:
        """Fix the dimensions: those of ``common`` that have more than one value."""
        super().__init__(**options)
        self._varied = {name: range_ for name, range_ in common.items() if not range_.single()}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The common parameters, whatever was tried before."""
        return dict(self._varied)


# --- the grid --------------------------------------------------------------------------------

Parameters = Mapping[str, int | float]


class ListSampler(samplers.BaseSampler):
    """Tries a list of parameters in a shuffled order, each once.

    Optuna's own grid is rectangular; here the number of widths depends on the depth, and a width
    on the one after it.

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
