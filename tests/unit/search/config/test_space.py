"""The search space: what a trial may suggest, and the way there and back."""

import math
import subprocess
import sys
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import IntDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FixedTrial

from deeprec.config import DataConfig, ModelConfig, TrainingConfig
from search.config.addresses import PROJECT
from search.config.dimensions import DEPTH, DIMENSIONS, WIDTH
from search.config.sections import SpaceSection
from search.config.space import (
    Configuration,
    common_distributions,
    data_config,
    enqueued_configurations,
    enumerate_configurations,
    logged_configuration,
    parameters_of,
    readable,
    suggest,
)
from tests.unit.search.study_files import SOFTMAX, entry, read

TUTORIAL = SpaceSection()
VALUES = {"embedding_dimension": 32, "learning_rate": 0.05}
DEEPEST = Configuration(layer_sizes=(128, 64, 32), values=VALUES)


def ranges(low: float, high: float, *, whole: bool) -> st.SearchStrategy[dict[str, float]]:
    ends: st.SearchStrategy[float] = st.floats(low, high)
    if whole:
        ends = st.integers(int(low), int(high))
    pairs = st.lists(ends, min_size=2, max_size=2).map(sorted)
    return pairs.map(lambda pair: {"low": pair[0], "high": pair[1]})


def powers(highest: int) -> st.SearchStrategy[dict[str, int]]:
    found = ranges(0, highest, whole=True)
    return found.map(lambda ends: {name: 2 ** int(end) for name, end in ends.items()})


@st.composite
def spaces(
    draw: st.DrawFn, *, deepest: int = 8, widest: int = 12, further: bool = True
) -> SpaceSection:
    """Any space that a study file may describe."""
    values: dict[str, Any] = {
        "depth": draw(ranges(1, deepest, whole=True)),
        "width": draw(powers(widest)),
        "embedding_dimension": draw(powers(10)),
        "learning_rate": draw(ranges(1e-6, 100, whole=False)),
    }
    if further:
        values["normalize"] = draw(st.sampled_from([None, [True], [True, False]]))
        lowest = {"temperature": 1e-6, "dropout": 0, "l2": 1e-9, "rating_power": 1, "half_life": 1}
        for name, low in lowest.items():
            values[name] = draw(st.none() | ranges(low, 0.99 if not low else 100, whole=False))
    return SpaceSection.model_validate(values)


@given(spaces(), st.integers(0, 10_000))
def test_suggestions_lie_in_the_space_and_come_back(space: SpaceSection, seed: int) -> None:
    trial = optuna.create_study(sampler=RandomSampler(seed=seed)).ask()
    configuration = suggest(trial, space)
    widths = configuration.layer_sizes
    assert space.depth.contains(len(widths))
    assert set(widths) <= set(space.width.values)
    assert list(widths) == sorted(widths, reverse=True)
    for each in DIMENSIONS:
        assert not each.problem(getattr(space, each.name), configuration.values.get(each.name))

    assert parameters_of(configuration) == trial.params
    assert suggest(FixedTrial(trial.params), space) == configuration
    shown = readable(trial.params)
    assert shown.items() >= configuration.values.items()
    assert tuple(shown[name] for name in list(shown)[len(widths) : 0 : -1]) == widths
    logged = {name: str(value) for name, value in shown.items()} | {"layer_sizes": str(widths)}
    assert logged_configuration(logged) == configuration

    common = common_distributions(space)
    assert common.items() <= trial.distributions.items()
    assert all("hidden_width" in name for name in trial.distributions.keys() - common.keys())


def test_parameters_are_named_from_the_output_and_asked_for_in_an_order_that_stays() -> None:
    # A sampler draws in this order: another one is another search.
    parameters = parameters_of(DEEPEST)
    assert list(parameters.items()) == [
        ("depth", 3),
        ("output_width_log2", 5),
        ("hidden_width_1_log2", 6),
        ("hidden_width_2_log2", 7),
        ("embedding_dimension_log2", 5),
        ("learning_rate", 0.05),
    ]
    widths = {"depth": 3, "output_width": 32, "hidden_width_1": 64, "hidden_width_2": 128}
    assert readable(parameters) == widths | VALUES
    trial = FixedTrial(parameters)
    suggest(trial, TUTORIAL)
    assert list(trial.distributions) == list(parameters)
    assert trial.distributions["hidden_width_2_log2"] == IntDistribution(6, 8)
    further = " ".join(each.parameter for each in DIMENSIONS[2:])
    assert further == (
        "normalize temperature dropout l2 rating_power half_life history_log2 history_dropout "
        "spectral_dimension_log2 spectral_penalty spectral_weight"
    )
    space = SpaceSection(temperature={"low": 0.1, "high": 1}, dropout={"low": 0.1, "high": 0.2})
    common = common_distributions(space)
    assert [getattr(common[name], "log", None) for name in list(common)[3:]] == [True, True, False]


def test_parameters_of_a_killed_trial_are_readable() -> None:
    assert readable({}) == {}
    assert readable({"depth": 2, "output_width_log2": 4}) == {"depth": 2, "output_width": 16}


@pytest.mark.parametrize("layer_sizes", [(48,), (64, 0), (-2,)])
def test_only_powers_of_two_have_parameters(layer_sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must be a power of two but got"):
        parameters_of(Configuration(layer_sizes=layer_sizes, values=VALUES))


def test_a_configuration_becomes_what_the_recommender_takes() -> None:
    spec = read("[data]\nsplit = 'temporal'\n[training]\nepochs = 20\nbatch_size = 500\n")
    assert DEEPEST.model_config() == ModelConfig(layer_sizes=(128, 64, 32), embedding_dimension=32)
    training = TrainingConfig(learning_rate=0.05, epochs=20, batch_size=500, seed=7)
    assert DEEPEST.training_config(spec, seed=7) == training
    assert data_config(spec) == DataConfig(split="temporal")
    further: dict[str, Any] = {"temperature": 0.2, "dropout": 0.3}
    ranking = Configuration(layer_sizes=(32,), values={**VALUES, "normalize": True, **further})
    assert ranking.model_config() == ModelConfig(embedding_dimension=32, normalize=True)
    training = TrainingConfig(learning_rate=0.05, loss="softmax", seed=2, **further)
    assert ranking.training_config(read(SOFTMAX), seed=2) == training


def test_enqueued_configurations_keep_names_and_order() -> None:
    spec = read(entry(name="'b'") + entry(name="'a'", layers="[32]"))
    assert list(enqueued_configurations(spec).items()) == [
        ("b", Configuration(layer_sizes=(64, 32), values=VALUES)),
        ("a", Configuration(layer_sizes=(32,), values=VALUES)),
    ]


def test_bounds_are_those_of_what_can_be_tried() -> None:
    space = SpaceSection(
        width={"low": 10, "high": 300}, normalize=[True], dropout={"low": 0, "high": 0.5}
    )
    bounds = space.bounds
    hidden = [f"hidden_width_{number}" for number in (1, 2, 3)]
    others = ["embedding_dimension", "learning_rate", "dropout"]
    assert list(bounds) == ["depth", "output_width", *hidden, *others]
    width, rate = bounds["hidden_width_3"], bounds["learning_rate"]
    assert (width.key, width.low, width.high, width.lowest) == ("space.width", 16, 256, 1)
    assert (width.is_logarithmic, width.is_continuous) == (True, False)
    assert (rate.is_logarithmic, rate.is_continuous, rate.lowest) == (True, True, None)
    assert (bounds["dropout"].is_logarithmic, bounds["dropout"].lowest) == (False, 0)


INVENTED = """
import dataclasses, pickle
import optuna
import deeprec.config
from search.config import dimensions

dimensions.DIMENSIONS += (dimensions.Dimension(
    name="momentum", meaning="Share of the last step", default=None, at_least=0, at_most=0.9,
),)

@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig(deeprec.config.TrainingConfig):
    momentum: float = 0.0

deeprec.config.TrainingConfig = TrainingConfig

from search.config.space import (
    enqueued_configurations, logged_configuration, parameters_of, readable, suggest)
from search.config.reading import (spec_of_text)

def study(text):
    return spec_of_text(text, name="x", source="x.toml")

def refused(text):
    try:
        study(text)
    except Exception as error:
        return str(error)

spec = study('''
[space]
momentum = { low = 0.1, high = 0.5 }
[[enqueue]]
name = "first"
layer_sizes = [32]
embedding_dimension = 32
learning_rate = 0.05
momentum = 0.3
''')
assert pickle.loads(pickle.dumps(spec)) == spec
assert study("").space_hash != spec.space_hash
assert spec.space.open_dimensions == ["momentum"]
assert dimensions.DIMENSIONS[-1].shown(spec.space.momentum) == "0.1 to 0.5, linear"
assert "momentum.high must be at most 0.9" in refused("[space]\\nmomentum = {low = 0, high = 1}")
assert "must lie in 0.1 to 0.5" in refused(spec.text.replace("momentum = 0.3", ""))
optuna.logging.set_verbosity(optuna.logging.ERROR)
trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
configuration = suggest(trial, spec.space)
assert 0.1 <= trial.params["momentum"] <= 0.5
assert parameters_of(configuration) == trial.params
assert configuration.training_config(spec, 0).momentum == trial.params["momentum"]
first = enqueued_configurations(spec)["first"]
assert first.training_config(spec, 0).momentum == 0.3
logged = {name: str(value) for name, value in readable(parameters_of(first)).items()}
assert logged_configuration(logged | {"layer_sizes": "(32,)"}) == first
assert (spec.space.bounds["momentum"].low, spec.space.bounds["momentum"].lowest) == (0.1, 0)
"""


def test_one_entry_and_one_field_are_a_new_dimension_everywhere() -> None:
    subprocess.run([sys.executable, "-c", INVENTED], check=True, cwd=PROJECT)


def test_every_dimension_is_a_field_of_the_recommender() -> None:
    fields = {*ModelConfig.__dataclass_fields__, *TrainingConfig.__dataclass_fields__}
    assert {each.name for each in DIMENSIONS} <= fields
    assert [*SpaceSection.model_fields] == [each.name for each in (DEPTH, WIDTH, *DIMENSIONS)]


@given(spaces(deepest=3, widest=4, further=False), st.integers(1, 4))
def test_the_grid_is_the_whole_space_once(space: SpaceSection, learning_rates: int) -> None:
    grid = enumerate_configurations(space, learning_rates)
    assert len({repr(each) for each in grid}) == len(grid)
    architectures = {(one.layer_sizes, one.values["embedding_dimension"]) for one in grid}
    assert len(architectures) == space.architectures
    for configuration in grid:  # FixedTrial warns, which is an error here, if one is outside
        assert suggest(FixedTrial(parameters_of(configuration)), space) == configuration


def test_the_grid_of_the_tutorials_space_is_counted_by_hand() -> None:
    stacks = 5 + 15 + 35 + 70  # multisets of 1, 2, 3 and 4 of the 5 widths
    assert TUTORIAL.architectures == stacks * 4
    assert len(enumerate_configurations(TUTORIAL, 5)) == stacks * 4 * 5


NEXT = math.nextafter(1e-6, 1)


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        pytest.param(0.01, 1.0, 3, [0.01, 0.1, 1.0], id="evenly spaced on a logarithmic scale"),
        pytest.param(0.01, 1.0, 1, [0.1], id="the geometric mean"),
        pytest.param(0.05, 0.05, 5, [0.05], id="a fixed one"),
        pytest.param(1e-6, NEXT, 3, [1e-6, NEXT], id="too narrow"),
    ],
)
def test_rates_of_the_grid(low: float, high: float, count: int, expected: list[float]) -> None:
    space = SpaceSection(learning_rate={"low": low, "high": high}, dropout={"low": 0, "high": 0})
    grid = enumerate_configurations(space, count)
    assert sorted({one.values["learning_rate"] for one in grid}) == pytest.approx(expected)
    assert len(grid) == space.architectures * len(expected)
    assert {one.values["dropout"] for one in grid} == {0}
