"""Samplers and pruners on recorded curves: what a search would have reached, and what it costs.

``python -m tests.experiments races samplers --study ranking`` runs the project's own loop, samplers
and pruners on the surrogate of the study's recorded curves (:mod:`tests.experiments.surrogate`):
all is real but the training. Searches of one seed are paired: they meet the same noise at the same
configurations. Regret is how far the configuration that a search names as its best, trained again
for as many epochs as its best took, is below the best of the space, both without the noise of
seeds, in thousandths of the objective.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from deeprec.errors import DivergedError
from search.config import strategies
from search.config.addresses import PROJECT
from search.config.reading import load_spec
from search.config.space import suggest
from search.config.study import StudySpec
from search.scheduling import samplers
from tests.experiments.promotion import Halving
from tests.experiments.surrogate import Surrogate, surrogate_of
from tests.unit.search.claims import loop_of

SEEDS = 20
TRIALS = 50  # of the study files
POINTS = 10_000  # random configurations, of which the best is the best of the space


@dataclass(frozen=True)
class Entrant:
    """A way to search."""

    name: str
    sections: Mapping[str, Any] = field(default_factory=dict)
    """Sections that replace those of the study file."""

    training: Mapping[str, Any] = field(default_factory=dict)  # keys of the study's ``[training]``
    make: Callable[[StudySpec, int], BaseSampler] | None = None
    """Makes a sampler that no study file can ask for, with a seed."""

    trials: int = TRIALS
    own: Callable[[StudySpec], list[FrozenTrial]] | None = None
    """Searches in another way than the project's loop does."""


@dataclass(frozen=True)
class Trialed:
    """What became of a trial."""

    value: float  # what the search saw
    worth: float  # without noise
    epochs: int
    is_complete: bool


Search = Sequence[Trialed]


def main(given: list[str]) -> None:
    """Runs a race and prints its table."""
    parser = argparse.ArgumentParser(prog="python -m tests.experiments races")
    parser.add_argument("race", choices=[*RACES])
    parser.add_argument("--study", default="ranking")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--only", nargs="+", help="entrants by name; the first is always there")
    arguments = parser.parse_args(given)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spec = spec_of(arguments.study)
    table = Table(spec, arguments.seeds)
    first, *others = RACES[arguments.race](spec)
    for entrant in [first, *others]:
        if entrant is first or arguments.only is None or entrant.name in arguments.only:
            table.add(entrant)


def spec_of(study: str) -> StudySpec:
    """The study of that name."""
    return load_spec(study, folders=(PROJECT / "studies",))


class Table:
    """Prints a line an entrant, each held against the first."""

    def __init__(self, spec: StudySpec, seeds: int) -> None:
        self.spec, self.seeds = spec, seeds
        self.best = best_of_space(spec.name)
        self._first: list[Search] = []
        sys.stdout.write(f"{spec.name}: the best of the space is worth {self.best:.4f}\n\n")
        headings = [
            *("search", "regret after 25 trials", f"after {TRIALS}", "less than the first"),
            *(f"epochs of {TRIALS}", "regret within the epochs of the first", "less than it"),
        ]
        _line(headings)
        _line(["---"] * len(headings))

    def add(self, entrant: Entrant) -> list[Search]:
        """Searches with each seed, and prints what came out."""
        searches = [search(self.spec, entrant, seed) for seed in range(self.seeds)]
        self._first = self._first or searches
        first = [self._regret(each) for each in self._first]
        whole = [self._regret(each) for each in searches]
        alike = [
            self._regret(within(each, epochs_of(one)))
            for one, each in zip(self._first, searches, strict=True)
        ]
        _line(
            [
                entrant.name,
                _spread([self._regret(each[: TRIALS // 2]) for each in searches]),
                _spread(whole),
                _interval(np.subtract(first, whole)),
                f"{statistics.fmean(epochs_of(each) for each in searches):,.0f}",
                _spread(alike),
                _interval(np.subtract(first, alike)),
            ]
        )
        return searches

    def _regret(self, trials: Search) -> float:
        return 1000 * (self.best - chosen(trials))


def _line(cells: Sequence[str]) -> None:
    sys.stdout.write("| " + " | ".join(cells) + " |\n")
    sys.stdout.flush()


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}"


def _interval(differences: Any) -> str:
    """A mean of paired differences and its standard error."""
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return f"{statistics.fmean(differences):+.1f} (se {error:.1f})"


def chosen(trials: Search) -> float:
    """The worth of the complete trial with the highest value; 0 where none is complete."""
    complete = [each for each in trials if each.is_complete]
    return max(complete, key=lambda each: each.value).worth if complete else 0.0


def epochs_of(trials: Search) -> int:
    """The epochs that all trials trained."""
    return sum(each.epochs for each in trials)


def within(trials: Search, epochs: int) -> Search:
    """The trials that were over when so many epochs were trained."""
    spent = np.cumsum([each.epochs for each in trials])
    return trials[: int((spent <= epochs).sum())]


def search(spec: StudySpec, entrant: Entrant, seed: int) -> Search:
    """A search of the study on its surrogate."""
    trials = run(spec, entrant, seed)
    return [
        Trialed(
            value=max(each.intermediate_values.values(), default=0.0),
            worth=worth,
            epochs=each.user_attrs["epochs"],
            is_complete=each.state == TrialState.COMPLETE,
        )
        for each, worth in zip(trials, worths_of(spec.name, trials), strict=True)
    ]


def worths_of(study: str, trials: Sequence[FrozenTrial]) -> list[float]:
    """What each trial is worth: its curve without noise at its best epoch, to be trained again."""
    curves = surrogate_of(study).curves([each.params for each in trials])
    values = [list(each.intermediate_values.values()) for each in trials]
    return [
        float(curve[int(np.argmax(own))]) if own else 0.0
        for curve, own in zip(curves, values, strict=True)
    ]


def run(spec: StudySpec, entrant: Entrant, seed: int) -> list[FrozenTrial]:
    """The trials of a search of the study on its surrogate."""
    surrogate = surrogate_of(spec.name)
    given = {"seed": seed, "trials": entrant.trials, "stop_when_stalled": None}
    changed = {
        "sampler": strategies.TpeOptions(),
        "study": spec.study.model_copy(update=given),
        "training": spec.training.model_copy(update={"patience": None, **entrant.training}),
        **entrant.sections,
    }
    spec = spec.model_copy(update=changed)
    if entrant.own is not None:
        return entrant.own(spec)
    study = optuna.create_study(direction="maximize", pruner=samplers.make_pruner(spec))
    with _made_by(entrant.make):
        loop_of(study, spec, partial(train, surrogate, spec)).run()
    return study.get_trials(deepcopy=False)


def train(surrogate: Surrogate, spec: StudySpec, trial: optuna.Trial) -> float:
    """What :class:`search.execution.objective.Objective` does, on a curve of the surrogate."""
    trial.set_user_attr("epochs", 1)
    if surrogate.diverges([trial.params])[0]:
        raise DivergedError("as the recorded ones did")
    every, epochs = spec.training.validate_every, spec.training.epochs
    best, no_better = -1.0, 0
    for number, value in enumerate(surrogate.drawn(trial.params, spec.study.seed), 1):
        trial.set_user_attr("epochs", epoch := min(number * every, epochs))
        no_better = 0 if value > best else no_better + 1
        best = max(best, float(value))
        trial.report(float(value), epoch)
        if epoch < epochs and trial.should_prune():
            raise optuna.TrialPruned
        if no_better == spec.training.patience:
            break
    return best


@contextmanager
def _made_by(make: Callable[[StudySpec, int], BaseSampler] | None) -> Iterator[None]:
    usual = samplers.make_sampler
    if make is not None:
        samplers.make_sampler = lambda spec, seed, **_: make(spec, seed)
    try:
        yield
    finally:
        samplers.make_sampler = usual


def best_of_space(study: str) -> float:
    """The highest worth of many random configurations."""
    space, drawn = spec_of(study).space, []
    rng = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(POINTS):
        suggest(trial := rng.ask(), space)
        drawn.append(trial.params)
    return float(surrogate_of(study).worth(drawn).max())


# --- the entrants -----------------------------------------------------------------------------

NONE = {"pruner": strategies.NoPrunerOptions()}


def sampler_race(_spec: StudySpec) -> list[Entrant]:
    """Samplers, without a pruner."""
    named: dict[str, strategies.SamplerOptions] = {
        "tpe": strategies.TpeOptions(),
        "tpe, multivariate": strategies.TpeOptions(multivariate=True),
        "tpe, multivariate, group": strategies.TpeOptions(multivariate=True, group=True),
        "tpe, startup_trials = 20": strategies.TpeOptions(startup_trials=20),
        "random": strategies.RandomOptions(),
        "cmaes": strategies.CmaesOptions(),
    }
    made: dict[str, Callable[[StudySpec, int], BaseSampler]] = {
        "tpe, gamma: a fifth": partial(_optuna_tpe, gamma=_fifth),
        "quasi-random (Sobol)": _quasi_random,
    }
    return [
        *(Entrant(name, {**NONE, "sampler": each}) for name, each in named.items()),
        *(Entrant(name, NONE, make=each) for name, each in made.items()),
    ]


def _optuna_tpe(_spec: StudySpec, seed: int, **options: Any) -> BaseSampler:
    usual = {"n_startup_trials": 10, "multivariate": False, "constant_liar": False}
    return TPESampler(**{**usual, "seed": seed, **options})


def _fifth(count: int) -> int:
    """How many trials count as good; by default a tenth."""
    return math.ceil(0.2 * count)


def _quasi_random(spec: StudySpec, _seed: int) -> BaseSampler:
    return optuna.samplers.QMCSampler(
        seed=spec.study.seed, scramble=True, warn_independent_sampling=False
    )


def pruner_race(spec: StudySpec) -> list[Entrant]:
    """Pruners and patience; a warmup is in validations, the first that of the shipped studies."""
    every = spec.training.validate_every
    warmup = (3 if spec.name == "ranking" else 2) * every
    pruners: dict[str, strategies.PrunerOptions] = {
        "median": strategies.MedianOptions(warmup_epochs=warmup),
        "none": strategies.NoPrunerOptions(),
        "percentile 25, warmup 2": strategies.PercentileOptions(warmup_epochs=2 * every),
        "successive halving": strategies.SuccessiveHalvingOptions(min_epochs=every),
        "hyperband": strategies.HyperbandOptions(min_epochs=every),
    }
    return [
        *(Entrant(name, {"pruner": each}) for name, each in pruners.items()),
        *(
            Entrant(f"median, patience {n}", {"pruner": pruners["median"]}, {"patience": n})
            for n in (1, 3)
        ),
        Entrant(
            "percentile 25, warmup 2, patience 1",
            {"pruner": pruners["percentile 25, warmup 2"]},
            {"patience": 1},
        ),
    ]


def promotion_race(spec: StudySpec) -> list[Entrant]:
    """Successive halving that stops, and one that promotes what it has paused.

    The last two have more configurations.
    """
    first = spec.training.validate_every

    def stops(reduction: int, trials: int = TRIALS) -> Entrant:
        pruner = strategies.SuccessiveHalvingOptions(min_epochs=first, reduction_factor=reduction)
        name = f"halving, 1 in {reduction}, {trials} configurations"
        return Entrant(name, {"pruner": pruner}, trials=trials)

    def promotes(reduction: int, validations: int = 1, trials: int = TRIALS) -> Entrant:
        name = f"promotion, 1 in {reduction}, {trials} configurations"
        name += f", from validation {validations}" if validations > 1 else ""
        return Entrant(name, own=Halving(reduction, validations), trials=trials)

    more = 2 * TRIALS if spec.name == "tutorial" else 9 * TRIALS // 5
    median = pruner_race(spec)[0]
    of_all = [each(reduction) for reduction in (2, 3) for each in (stops, promotes)]
    return [median, *of_all, promotes(2, 2), stops(3, trials=more), promotes(3, trials=more)]


RACES: Mapping[str, Callable[[StudySpec], list[Entrant]]] = {
    "samplers": sampler_race,
    "pruners": pruner_race,
    "promotion": promotion_race,
}
