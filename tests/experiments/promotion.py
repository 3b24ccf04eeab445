"""Successive halving that promotes, on the surrogate: ASHA (Li et al. 2020) with one worker.

A trial pauses at each rung. The best of those that wait goes on where it is among the first
``1 / reduction`` of its rung; where none is, a new configuration begins, until there are enough.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.config.space import enqueued_configurations, parameters_of, suggest
from search.config.study import StudySpec
from search.scheduling.samplers import derive_seed, make_sampler
from tests.experiments.surrogate import surrogate_of


@dataclass(frozen=True)
class Halving:
    """How a search promotes."""

    reduction: int  # one of so many trials of a rung goes on
    first: int  # validations of the first rung

    def __call__(self, spec: StudySpec) -> list[FrozenTrial]:
        """Each configuration as the trial that trained it furthest."""
        rungs = list(self._rungs(-(-spec.training.epochs // spec.training.validate_every)))
        found: list[_Configuration] = []
        while True:
            each = self._promotable(found, rungs)
            if each is None:
                if len(found) == spec.study.trials:
                    return [each.as_trial(spec, rungs) for each in found]
                each = _asked(spec, [each.as_trial(spec, rungs) for each in found])
                found.append(each)
            each.rung += 1

    def _rungs(self, validations: int) -> Iterator[int]:
        """Validations after which trials pause; the last rung is the end."""
        rung = self.first
        while rung < validations:
            yield rung
            rung *= self.reduction
        yield validations

    def _promotable(
        self, found: list["_Configuration"], rungs: list[int]
    ) -> "_Configuration | None":
        for rung in reversed(range(len(rungs) - 1)):
            there = sorted(
                (each for each in found if each.rung >= rung and each.curve),
                key=lambda each: -max(each.curve[: rungs[rung]]),
            )
            of_rung = [each for each in found if each.rung >= rung]
            best = there[: len(of_rung) // self.reduction]
            for each in best:
                if each.rung == rung:
                    return each
        return None


@dataclass
class _Configuration:
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    curve: list[float] = field(default_factory=list)  # to its end; none where it diverges
    rung: int = -1  # the last one that it has reached

    def as_trial(self, spec: StudySpec, rungs: list[int]) -> FrozenTrial:
        every, last = spec.training.validate_every, spec.training.epochs
        reached = self.curve[: rungs[self.rung]]
        values = {min(n * every, last): value for n, value in enumerate(reached, 1)}
        is_whole = bool(self.curve) and self.rung == len(rungs) - 1
        return create_trial(
            state=TrialState.COMPLETE if is_whole else TrialState.PRUNED,
            value=max(reached) if is_whole else None,
            params=dict(self.params),
            distributions=dict(self.distributions),
            intermediate_values=values,
            user_attrs={"epochs": max(values, default=1)},
        )


def _asked(spec: StudySpec, trials: list[FrozenTrial]) -> _Configuration:
    place = len(trials)
    seed = derive_seed(spec.study.seed, "sampler", place)
    study = optuna.create_study(direction="maximize", sampler=make_sampler(spec, seed))
    study.add_trials(trials)
    enqueued = list(enqueued_configurations(spec).values())
    if place < len(enqueued):
        study.enqueue_trial(parameters_of(enqueued[place]))
    trial = study.ask()
    suggest(trial, spec.space)
    surrogate = surrogate_of(spec.name)
    curve = []
    if not surrogate.diverges([trial.params])[0]:
        curve = [float(each) for each in surrogate.drawn(trial.params, spec.study.seed)]
    return _Configuration(trial.params, trial.distributions, curve)
