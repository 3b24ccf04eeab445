"""Samplers, pruners and seeds: each works on the space, and a search depends on its seed alone."""

import importlib.util
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy.pool import StaticPool

from search.config.reading import override
from search.config.sections import SpaceSection, StudySection
from search.config.space import Configuration, enqueued_configurations, parameters_of, suggest
from search.config.strategies import MedianOptions
from search.config.study import StudySpec
from search.records.errors import InputError
from search.scheduling.samplers import (
    SEED_BOUND,
    ListSampler,
    derive_seed,
    make_grid,
    make_pruner,
    make_sampler,
    sampler_of_next,
)
from search.storage.trials import tried_by
from tests.unit.search.study_files import entry, read

HAS_CMAES = importlib.util.find_spec("cmaes") is not None
needs_cmaes = pytest.mark.skipif(not HAS_CMAES, reason="needs the extra 'samplers'")

SAMPLERS = ["tpe", "random", "grid", pytest.param("cmaes", marks=needs_cmaes), "nsgaii"]
PRUNERS = ["median", "hyperband", "successive_halving", "percentile", "patient", "none"]

TUTORIAL = read("[study]\nname = 'tutorial'\nseed = 1\n" + entry())


@pytest.fixture(autouse=True)
def quiet_optuna() -> Iterator[None]:
    """Optuna logs a line a trial; its warnings stay, where a test can see them."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.enable_propagation()
    yield
    optuna.logging.disable_propagation()
    optuna.logging.set_verbosity(before)


def accuracy(configuration: Configuration, epoch: int) -> float:
    """A cheap stand-in for training: best at two layers and a learning rate of 0.1.

    A learning rate that is too high gets worse with every epoch, so that patience ends.
    """
    distance = math.log10(configuration.values["learning_rate"] / 0.1)
    depth_penalty = 0.02 * abs(len(configuration.layer_sizes) - 2)
    overshoot = 0.02 * max(distance, 0) * epoch
    return 0.4 - 0.1 * abs(distance) - depth_penalty - overshoot - 1 / (10 + epoch)


class Search:
    """A search as the harness runs it: every trial with a fresh sampler and its own seed."""

    def __init__(self, spec: StudySpec, storage: BaseStorage | None = None) -> None:
        self.spec = spec
        self.storage = storage or InMemoryStorage()
        self.study = optuna.create_study(
            storage=self.storage, study_name=spec.name, direction="maximize"
        )
        for configuration in enqueued_configurations(spec).values():
            self.study.enqueue_trial(parameters_of(configuration))

    def run(self, trials: int) -> "Search":
        """Run so many more trials, with nothing in memory from those before."""
        pruner = make_pruner(self.spec)
        for _ in range(trials):
            number = len(self.study.get_trials(deepcopy=False, states=STARTED))
            seed = derive_seed(self.spec.study.seed, "sampler", number)
            self.study = optuna.load_study(
                study_name=self.spec.name,
                storage=self.storage,
                sampler=make_sampler(self.spec, seed),
                pruner=pruner,
            )
            self.run_one(self.study.ask())
        return self

    def run_one(self, trial: optuna.Trial) -> None:
        configuration = suggest(trial, self.spec.space)
        epochs, every = self.spec.training.epochs, self.spec.training.validate_every
        for epoch in range(every, epochs + 1, every):
            trial.report(accuracy(configuration, epoch), epoch)
            if epoch < epochs and trial.should_prune():
                self.study.tell(trial, state=TrialState.PRUNED)
                return
        self.study.tell(trial, accuracy(configuration, epochs))

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return [trial.params for trial in self.study.trials]

    @property
    def states(self) -> Counter[TrialState]:
        return Counter(trial.state for trial in self.study.trials)


STARTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


# --- every combination ------------------------------------------------------------------------


@pytest.mark.parametrize("pruner", PRUNERS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_any_sampler_and_pruner(
    sampler: str, pruner: str, caplog: pytest.LogCaptureFixture
) -> None:
    spec = override(TUTORIAL, sampler=sampler, pruner=pruner)
    search = Search(spec).run(20)
    assert search.states[TrialState.COMPLETE] + search.states[TrialState.PRUNED] == 20
    [first] = enqueued_configurations(spec).values()
    assert search.parameters[0] == parameters_of(first)
    assert (search.states[TrialState.PRUNED] > 0) == (pruner != "none")
    assert caplog.messages == []
    if pruner in ("median", "hyperband"):  # a search that is cut in two is the uncut search
        cut = Search(spec).run(13).run(7)
        assert (cut.parameters, cut.states) == (search.parameters, search.states)


@pytest.fixture(scope="module")
def database() -> RDBStorage:
    """One for the studies of all samplers, in memory: a disk would take longer than they do."""
    return RDBStorage("sqlite:///:memory:", engine_kwargs={"poolclass": StaticPool})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_depends_on_its_seed_alone(sampler: str, database: RDBStorage) -> None:
    study = StudySection(name=sampler, seed=1)
    spec = override(TUTORIAL.model_copy(update={"study": study}), sampler=sampler)
    in_memory = Search(spec).run(13).parameters
    assert Search(spec, database).run(13).parameters == in_memory
    assert Search(override(spec, seed=2)).run(13).parameters[1:] != in_memory[1:]


# --- options ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"name": "tpe", "multivariate": True},
        {"name": "tpe", "multivariate": True, "group": True},
        {"name": "tpe", "startup_trials": 0, "ei_candidates": 1},
        pytest.param({"name": "cmaes", "margin": True}, marks=needs_cmaes),
        pytest.param({"name": "cmaes", "use_pruned_trials": True}, marks=needs_cmaes),
        pytest.param({"name": "cmaes", "population_size": 4}, marks=needs_cmaes),
        {"name": "nsgaii", "mutation_probability": 0.5, "population_size": 4},
    ],
    ids=str,
)
def test_every_option_of_a_sampler_works_without_a_warning(options: dict[str, Any]) -> None:
    spec = StudySpec.model_validate(TUTORIAL.model_dump() | {"sampler": options})
    assert len(Search(spec).run(30).parameters) == 30


@needs_cmaes
def test_cmaes_goes_on_when_the_depths_of_the_first_trials_agree() -> None:
    # Optuna's own CMA-ES takes hidden_width_1 into its dimensions as long as all trials have the
    # same range for it, and draws at random for ever once one has not.
    spec = TUTORIAL.model_copy(update={"space": SpaceSection(depth={"low": 2, "high": 2})})
    search = Search(override(spec, sampler="cmaes", pruner="none")).run(40)
    generations = [trial.system_attrs.get("cma:generation") for trial in search.study.trials]
    assert generations[-1] is not None
    assert generations[-1] >= 3


def test_cmaes_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"sampler 'cmaes' needs .*pip install '\.\[samplers\]'"):
        make_sampler(override(TUTORIAL, sampler="cmaes"), seed=0)


def test_a_trial_is_not_pruned_before_its_warm_up() -> None:
    spec = TUTORIAL.model_copy(update={"pruner": MedianOptions(startup_trials=1, warmup_epochs=15)})
    trials = Search(override(spec, sampler="random")).run(40).study.trials
    pruned = [trial.last_step for trial in trials if trial.state == TrialState.PRUNED]
    assert pruned
    assert min(step or 0 for step in pruned) == 15


# --- the grid ---------------------------------------------------------------------------------

GRID = """
[study]
name = "small"
[space]
depth = { low = 1, high = 2 }
width = { low = 16, high = 32 }
embedding_dimension = { low = 16, high = 16 }
learning_rate = { low = 0.01, high = 0.1 }
[pruner]
name = "none"
[sampler]
name = "grid"
learning_rates = 2
"""
SMALL = read(GRID)
SIZE = (2 + 3) * 2


def enqueuing(rate: str) -> StudySpec:
    """A grid that holds an enqueued configuration, if the rate is 0.01 or 0.1."""
    return read(GRID + entry(layers="[32, 16]", embedding="16", rate=rate))


def remaining(search: Search) -> int:
    return make_grid(search.spec).remaining(search.study)


def distinct(search: Search) -> set[frozenset[tuple[str, Any]]]:
    return {frozenset(parameters.items()) for parameters in search.parameters}


def test_the_grid_is_tried_once_in_an_order_of_the_seed_and_then_exhausted() -> None:
    search = Search(SMALL)
    left = []
    for _ in range(SIZE):
        left.append(remaining(search))
        search.run(1)
    assert left == list(range(SIZE, 0, -1))
    assert remaining(search) == 0
    assert len(distinct(search)) == SIZE
    assert search.parameters != Search(override(SMALL, seed=5)).run(SIZE).parameters
    assert search.parameters == Search(SMALL).run(4).run(SIZE - 4).parameters
    with pytest.raises(RuntimeError, match="the grid is exhausted: all of its 10 configurations"):
        search.run(1)


def test_another_seed_halfway_repeats_nothing() -> None:
    search = Search(SMALL).run(5)
    search.spec = override(SMALL, seed=5)
    assert len(distinct(search.run(SIZE - 5))) == SIZE


@pytest.mark.parametrize(("rate", "size"), [("0.01", SIZE), ("0.05", SIZE + 1)])
def test_what_is_enqueued_is_not_repeated_and_takes_no_other_away(rate: str, size: int) -> None:
    search = Search(enqueuing(rate))
    assert remaining(search) == size - 1  # what is enqueued waits already
    search.run(size)
    assert search.parameters[0]["learning_rate"] == float(rate)
    assert len(distinct(search)) == size
    assert remaining(search) == 0


def test_trials_that_run_side_by_side_choose_different_configurations() -> None:
    search = Search(SMALL)
    study = optuna.load_study(
        study_name=SMALL.name, storage=search.storage, sampler=make_sampler(SMALL, 0)
    )
    trials = [study.ask() for _ in range(SIZE)]  # none has suggested anything yet
    assert remaining(search) == 0
    suggested = [parameters_of(suggest(trial, SMALL.space)) for trial in trials]
    assert suggested == [tried_by(trial) for trial in study.trials]
    assert len(distinct(search)) == SIZE


def test_a_failed_configuration_does_not_hold_up_the_others() -> None:
    search = Search(SMALL).run(1)
    failed = search.study.ask()
    suggest(failed, SMALL.space)
    search.study.tell(failed, state=TrialState.FAIL)
    assert len(distinct(search.run(SIZE - 2))) == SIZE


def test_what_was_left_of_a_killed_trial_is_completed() -> None:
    search = Search(SMALL)
    search.study.enqueue_trial({"depth": 2, "output_width_log2": 4})
    search.run(1)
    assert search.parameters[0].items() >= {"depth": 2, "output_width_log2": 4}.items()
    assert len(distinct(search.run(SIZE - 1))) == SIZE
    search.study.enqueue_trial({"depth": 2, "output_width_log2": 4})
    search.run(1)  # nothing new agrees with it: one is run again
    assert search.states[TrialState.COMPLETE] == SIZE + 1


def test_what_a_killed_trial_tried_is_known_before_it_suggested_anything() -> None:
    search = Search(enqueuing("0.05"))
    study = optuna.load_study(
        study_name=SMALL.name, storage=search.storage, sampler=make_sampler(SMALL, 0)
    )
    enqueued, sampled = study.ask(), study.ask()
    enqueued.suggest_int("depth", 1, 2)
    planned = [tried_by(trial) for trial in study.trials]
    assert planned == [parameters_of(suggest(trial, SMALL.space)) for trial in (enqueued, sampled)]


def test_only_a_grid_study_has_a_grid() -> None:
    assert isinstance(make_sampler(SMALL, 0), ListSampler)
    with pytest.raises(TypeError, match="must be 'grid' but got 'tpe'"):
        make_grid(TUTORIAL)


# --- several workers, and what was tried ------------------------------------------------------


def searched(spec: StudySpec, trials: int, *, others_run: bool) -> optuna.Study:
    study = optuna.create_study(direction="maximize")
    for number in range(trials):
        study.sampler = make_sampler(spec, derive_seed(1, number), others_run=others_run)
        trial = study.ask()
        study.tell(trial, accuracy(suggest(trial, spec.space), epoch=30))
    return study


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_worker_draws_the_same_whether_or_not_there_may_be_others(sampler: str) -> None:
    """What is set for several workers changes nothing while no other trial runs."""
    spec = override(TUTORIAL, sampler=sampler)
    alone, beside = (searched(spec, 16, others_run=others_run) for others_run in (False, True))
    assert [trial.params for trial in alone.trials] == [trial.params for trial in beside.trials]


def test_several_workers_do_not_all_try_what_looks_best() -> None:
    """TPE, with many trials running at the best point, goes elsewhere than it would without."""

    def next_rate(*, others_run: bool) -> float:
        study = searched(TUTORIAL, 16, others_run=others_run)
        for _ in range(20):
            study.enqueue_trial(study.best_params)
            suggest(study.ask(), TUTORIAL.space)  # RUNNING from now on
        study.sampler = make_sampler(TUTORIAL, 7, others_run=others_run)
        trial = study.ask()
        suggest(trial, TUTORIAL.space)
        return float(trial.params["learning_rate"])

    assert next_rate(others_run=True) != next_rate(others_run=False)


FINITE = """space.depth = { low = 1, high = 1 }
space.width = { low = 16, high = 64 }
space.embedding_dimension = { low = 16, high = 32 }
space.learning_rate = { low = 0.05, high = 0.05 }"""


@pytest.mark.parametrize("name", [each for each in SAMPLERS if each != "grid"])
def test_of_a_finite_space_nothing_is_tried_twice_before_all_is_tried(name: str) -> None:
    spec = override(read(FINITE), sampler=name)
    study = optuna.create_study(direction="maximize")
    for place in range(8):
        trials = study.get_trials(deepcopy=False)
        study.sampler = sampler_of_next(study, trials, spec, place, others_run=False)
        trial = study.ask()
        study.tell(trial, accuracy(suggest(trial, spec.space), epoch=30))
    tried = [frozenset(trial.params.items()) for trial in study.trials]
    assert len(set(tried[:6])) == 6, "three widths and two embedding dimensions"
    assert len(tried) == 8


PURPOSES = st.lists(st.one_of(st.integers(0, 10_000), st.text(max_size=10)), max_size=4)


@given(st.integers(), PURPOSES)
def test_a_seed_is_in_bounds_and_always_the_same(study_seed: int, purpose: list[int | str]) -> None:
    seed = derive_seed(study_seed, *purpose)
    assert 0 <= seed < SEED_BOUND
    assert seed == derive_seed(study_seed, *purpose)


def test_a_seed_is_the_same_everywhere_and_other_for_other_purposes() -> None:
    assert derive_seed(0, "sampler", 7) == 1145508931
    purposes = [(), (7, "sampler"), ("sampler", "7"), ("sampler7",), ("weights", 7)]
    seeds = {derive_seed(0, *purpose) for purpose in purposes}
    seeds |= {derive_seed(study, "sampler", trial) for study in range(10) for trial in range(1000)}
    assert len(seeds) == len(purposes) + 10_000
