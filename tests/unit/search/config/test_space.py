"""The search space: what a trial may suggest, and the way there and back."""

import math
from collections.abc import Callable

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import IntDistribution
from optuna.trial import FixedTrial

from deeprec.config import DataConfig, ModelConfig, TrainingConfig
from search.config.sections import (
    RANKING_DIMENSIONS,
    DataSection,
    DepthRange,
    DropoutRange,
    EmbeddingRange,
    EnqueuedSection,
    LearningRateRange,
    PenaltyRange,
    RatingPowerRange,
    SpaceSection,
    StudySection,
    TemperatureRange,
    TrainingSection,
    WidthRange,
)
from search.config.space import (
    Configuration,
    common_distributions,
    data_config,
    enqueued_configurations,
    enumerate_configurations,
    parameters_of,
    readable,
    suggest,
)
from search.config.study import StudySpec

TUTORIAL = SpaceSection()
DEEPEST = Configuration(layer_sizes=(128, 64, 32), embedding_dimension=32, learning_rate=0.05)


class DrawnTrial(FixedTrial):
    """A trial whose values Hypothesis draws, anywhere in the range it is asked for."""

    def __init__(self, draw: Callable[[st.SearchStrategy[float]], float]) -> None:
        super().__init__({})
        self._draw = draw

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Any integer of the range."""
        self._params[name] = self._draw(st.integers(low, high))
        return super().suggest_int(name, low, high, step=step, log=log)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Any number of the range."""
        self._params[name] = self._draw(st.floats(low, high))
        return super().suggest_float(name, low, high, step=step, log=log)


def bounds(highest: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, highest), min_size=2, max_size=2).map(sorted)


@st.composite
def spaces(draw: st.DrawFn, *, deepest: int = 8, widest: int = 12) -> SpaceSection:
    """Any space that a study file may describe."""
    depth, width, embedding = draw(bounds(deepest - 1)), draw(bounds(widest)), draw(bounds(10))
    rates = sorted(draw(st.tuples(st.floats(1e-6, 100), st.floats(1e-6, 100))))
    return SpaceSection(
        depth=DepthRange(low=depth[0] + 1, high=depth[1] + 1),
        width=WidthRange(low=2 ** width[0], high=2 ** width[1]),
        embedding_dimension=EmbeddingRange(low=2 ** embedding[0], high=2 ** embedding[1]),
        learning_rate=LearningRateRange(low=rates[0], high=rates[1]),
    )


# --- properties of every suggestion -----------------------------------------------------------


@given(spaces(), st.data())
def test_every_suggestion_lies_in_the_space(space: SpaceSection, data: st.DataObject) -> None:
    configuration = suggest(DrawnTrial(data.draw), space)
    assert space.depth.contains(len(configuration.layer_sizes))
    assert set(configuration.layer_sizes) <= set(space.width.values)
    assert configuration.embedding_dimension in space.embedding_dimension.values
    assert space.learning_rate.contains(configuration.learning_rate)


@given(spaces(), st.data())
def test_layers_never_widen_toward_the_output(space: SpaceSection, data: st.DataObject) -> None:
    layer_sizes = suggest(DrawnTrial(data.draw), space).layer_sizes
    assert list(layer_sizes) == sorted(layer_sizes, reverse=True)


@given(spaces(), st.data())
def test_widths_and_dimensions_are_powers_of_two(space: SpaceSection, data: st.DataObject) -> None:
    configuration = suggest(DrawnTrial(data.draw), space)
    for value in (*configuration.layer_sizes, configuration.embedding_dimension):
        assert math.log2(value).is_integer()


@given(spaces(), st.data())
def test_parameters_and_configurations_are_the_same_thing(
    space: SpaceSection, data: st.DataObject
) -> None:
    trial = DrawnTrial(data.draw)
    configuration = suggest(trial, space)
    assert parameters_of(configuration) == trial.params
    assert suggest(FixedTrial(parameters_of(configuration)), space) == configuration


@given(spaces(), st.data())
def test_readable_parameters_are_the_configurations_own_numbers(
    space: SpaceSection, data: st.DataObject
) -> None:
    configuration = suggest(DrawnTrial(data.draw), space)
    shown = readable(parameters_of(configuration))
    widths = [value for name, value in shown.items() if "width" in name]
    assert tuple(reversed(widths)) == configuration.layer_sizes
    assert shown["depth"] == len(configuration.layer_sizes)
    assert shown["embedding_dimension"] == configuration.embedding_dimension
    assert shown["learning_rate"] == configuration.learning_rate


@given(spaces(), st.data())
def test_common_distributions_are_those_of_a_suggestion(
    space: SpaceSection, data: st.DataObject
) -> None:
    trial = DrawnTrial(data.draw)
    suggest(trial, space)
    common = common_distributions(space)
    assert common.items() <= trial.distributions.items()
    assert all("hidden_width" in name for name in trial.distributions.keys() - common.keys())


# --- examples ---------------------------------------------------------------------------------


def test_parameters_are_named_from_the_output() -> None:
    assert parameters_of(DEEPEST) == {
        "depth": 3,
        "output_width_log2": 5,
        "hidden_width_1_log2": 6,
        "hidden_width_2_log2": 7,
        "embedding_dimension_log2": 5,
        "learning_rate": 0.05,
    }


def test_readable_parameters_are_decoded() -> None:
    assert readable(parameters_of(DEEPEST)) == {
        "depth": 3,
        "output_width": 32,
        "hidden_width_1": 64,
        "hidden_width_2": 128,
        "embedding_dimension": 32,
        "learning_rate": 0.05,
    }


def test_parameters_of_a_killed_trial_are_readable() -> None:
    assert readable({}) == {}
    assert readable({"depth": 2, "output_width_log2": 4}) == {"depth": 2, "output_width": 16}


def test_a_hidden_width_ranges_from_the_width_after_it() -> None:
    trial = FixedTrial(parameters_of(DEEPEST))
    suggest(trial, TUTORIAL)
    assert trial.distributions["output_width_log2"] == IntDistribution(4, 8)
    assert trial.distributions["hidden_width_1_log2"] == IntDistribution(5, 8)
    assert trial.distributions["hidden_width_2_log2"] == IntDistribution(6, 8)


@pytest.mark.parametrize("layer_sizes", [(48,), (64, 0), (-2,)])
def test_only_powers_of_two_have_parameters(layer_sizes: tuple[int, ...]) -> None:
    configuration = Configuration(
        layer_sizes=layer_sizes, embedding_dimension=32, learning_rate=0.05
    )
    with pytest.raises(ValueError, match="must be a power of two but got"):
        parameters_of(configuration)


def test_a_configuration_becomes_what_the_recommender_takes() -> None:
    spec = StudySpec(
        study=StudySection(name="x"),
        data=DataSection(split="temporal"),
        training=TrainingSection(epochs=20, validate_every=4, batch_size=500),
    )
    assert DEEPEST.model_config() == ModelConfig(layer_sizes=(128, 64, 32), embedding_dimension=32)
    assert DEEPEST.training_config(spec, seed=7) == TrainingConfig(
        learning_rate=0.05, epochs=20, validate_every=4, batch_size=500, seed=7
    )
    assert data_config(spec) == DataConfig(split="temporal")


RANKING = SpaceSection(
    depth=DepthRange(low=1, high=1),
    normalize=(False, True),
    temperature=TemperatureRange(low=0.1, high=1.0),
    dropout=DropoutRange(low=0.0, high=0.5),
    l2=PenaltyRange(low=1e-6, high=1e-3),
    rating_power=RatingPowerRange(low=1.0, high=5.0),
)


def test_the_dimensions_of_ranking_are_sampled_where_the_space_has_them() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trial = study.ask()
    configuration = suggest(trial, RANKING)
    assert parameters_of(configuration) == trial.params
    assert set(trial.params) >= {"normalize", *RANKING_DIMENSIONS}
    logarithmic = {
        name for name in RANKING_DIMENSIONS if getattr(trial.distributions[name], "log", False)
    }
    assert logarithmic == {"temperature", "l2"}
    for name, distribution in common_distributions(RANKING).items():
        assert trial.distributions[name] == distribution

    plain = study.ask()
    assert suggest(plain, SpaceSection()).ranking == {}
    assert not set(plain.params) & {"normalize", *RANKING_DIMENSIONS}


def test_a_ranking_configuration_becomes_what_the_recommender_takes() -> None:
    configuration = Configuration(
        layer_sizes=(32,),
        embedding_dimension=16,
        learning_rate=0.01,
        normalize=True,
        temperature=0.2,
        dropout=0.3,
    )
    spec = StudySpec(
        study=StudySection(name="x"),
        training=TrainingSection(loss="softmax", optimizer="adam", batch_size=64),
    )
    assert configuration.model_config() == ModelConfig(
        layer_sizes=(32,), embedding_dimension=16, normalize=True
    )
    assert configuration.training_config(spec, seed=2) == TrainingConfig(
        learning_rate=0.01,
        loss="softmax",
        optimizer="adam",
        batch_size=64,
        temperature=0.2,
        dropout=0.3,
        seed=2,
    )


def test_enqueued_configurations_keep_names_and_order() -> None:
    entries = [("b", (64, 32)), ("a", (32,))]
    spec = StudySpec(
        study=StudySection(name="x"),
        enqueue=tuple(
            EnqueuedSection(name=name, layer_sizes=sizes, embedding_dimension=16, learning_rate=0.1)
            for name, sizes in entries
        ),
    )
    configurations = enqueued_configurations(spec)
    assert [(name, one.layer_sizes) for name, one in configurations.items()] == entries
    assert {one.embedding_dimension for one in configurations.values()} == {16}


# --- the grid ---------------------------------------------------------------------------------


@given(spaces(deepest=3, widest=4), st.integers(1, 4))
def test_the_grid_is_the_whole_space_once(space: SpaceSection, learning_rates: int) -> None:
    grid = enumerate_configurations(space, learning_rates)
    assert len(set(grid)) == len(grid)
    architectures = {(one.layer_sizes, one.embedding_dimension) for one in grid}
    assert len(architectures) == space.architectures
    for configuration in grid:  # FixedTrial warns, which is an error here, if one is outside
        assert suggest(FixedTrial(parameters_of(configuration)), space) == configuration


def test_a_range_too_narrow_for_its_learning_rates_repeats_none() -> None:
    low = 1e-6
    space = SpaceSection(learning_rate=LearningRateRange(low=low, high=math.nextafter(low, 1.0)))
    assert len(rates_of(space, 3)) == 2
    grid = enumerate_configurations(space, 3)
    assert len(set(grid)) == len(grid)


def test_the_grid_of_the_tutorials_space_is_counted_by_hand() -> None:
    stacks = 5 + 15 + 35 + 70  # multisets of 1, 2, 3 and 4 of the 5 widths
    assert TUTORIAL.architectures == stacks * 4
    assert len(enumerate_configurations(TUTORIAL, 5)) == stacks * 4 * 5


def rates_of(space: SpaceSection, learning_rates: int) -> list[float]:
    grid = enumerate_configurations(space, learning_rates)
    return sorted({configuration.learning_rate for configuration in grid})


def test_learning_rates_of_the_grid_are_evenly_spaced_on_the_logarithmic_scale() -> None:
    space = SpaceSection(learning_rate=LearningRateRange(low=0.01, high=1.0))
    assert rates_of(space, 3) == pytest.approx([0.01, 0.1, 1.0])
    assert rates_of(space, 1) == pytest.approx([0.1])


def test_a_fixed_learning_rate_is_one_point() -> None:
    space = SpaceSection(learning_rate=LearningRateRange(low=0.05, high=0.05))
    assert rates_of(space, 5) == [0.05]
