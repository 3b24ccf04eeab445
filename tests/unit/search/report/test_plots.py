"""Pictures: good trials can be told apart whatever the bad ones have, ticks can be read."""

from typing import Any

import pytest
from optuna.trial import TrialState

from search.report.curve_plots import curves_plot, history_plot
from search.report.drawing import (
    FAIL,
    Plot,
    accuracy_range,
    accuracy_window,
    hover,
    log_axis,
    whole_ticks,
)
from search.report.facts import Facts
from search.report.page import hero, page
from search.report.result_plots import size_plots
from search.report.tables import leaderboard
from search.report.trial_plots import parallel_plot, slice_plots
from search.report.writing import document
from tests.unit.search.report.made import Made
from tests.unit.search.sample_records import trial

REASON = "train_loss is 1.8e+14 at epoch 3"


def slices(facts: Facts) -> dict[str, Plot]:
    return {plot.title: plot for plot in slice_plots(facts)}


def traces(plot: Plot | None, name: str) -> list[dict[str, Any]]:
    assert plot is not None
    return [trace for trace in plot.data if trace.get("name") == name]


@pytest.mark.parametrize("values", [[0.0, 0.3], [0.0], [0.99, 1.0], [0.2, 0.2], [0.1, 0.35]])
def test_an_axis_of_accuracies_stays_within_0_and_1_and_holds_them_all(values: list[float]) -> None:
    low, high = accuracy_range(values)
    assert 0 <= low <= min(values)
    assert max(values) <= high <= 1
    assert low < high


def test_bad_trials_do_not_squeeze_the_good_ones() -> None:
    good = [trial(number, value=0.34 + number / 1000) for number in range(20)]
    bad = [trial(20 + number, "pruned", value=0.02 + number / 200) for number in range(30)]
    low, high = accuracy_window([*good, *bad])
    better_half = [each.value or 0.0 for each in good[10:]]
    assert (max(better_half) - min(better_half)) / (high - low) > 0.25
    assert low > 0.2


@pytest.mark.parametrize("state", ["complete", "pruned"])
def test_where_none_is_bad_or_complete_all_are_shown(state: Any) -> None:
    low, high = accuracy_window([trial(0, state, value=0.3), trial(1, state, value=0.35)])
    assert low < 0.30 < 0.35 < high


def test_whole_numbers_have_whole_ticks() -> None:
    steps = {0: 1, 1: 1, 3: 1, 8: 1, 9: 2, 30: 5, 49: 10, 70: 10, 499: 100}
    for last, step in steps.items():
        assert whole_ticks(0, last) == {"tick0": 0, "dtick": step}


def test_a_logarithmic_axis_has_two_ticks_where_values_lie_close() -> None:
    assert log_axis(23_000, 41_000)["tickvals"] == [23_000, 41_000]
    assert log_axis(90_000, 90_000)["tickvals"] == [90_000]
    assert log_axis(0.005, 1.0)["tickvals"] == [0.01, 0.1, 1.0]


def test_beside_the_pointer_are_names_for_people() -> None:
    widths = {"depth": 2, "output_width": 32, "hidden_width_1": 64}
    parameters = {**widths, "embedding_dimension": 16, "learning_rate": 0.05}
    assert hover(trial(3, parameters=parameters, value=0.3)).split("<br>") == [
        "<b>trial 3</b>",
        "hidden width 64, output width 32",
        "embedding dimension 16, learning rate 0.05",
        "complete, best 0.3000",
    ]


def test_pictures_have_the_edges_of_the_space_and_a_way_without_webgl(made: Made) -> None:
    made.fill(12)
    facts = made.facts
    edges = [shape["x0"] for shape in slices(facts)["learning rate"].layout["shapes"]]
    assert edges == [0.005, 1.0]
    parallel = parallel_plot(facts)
    assert parallel is not None
    assert parallel.without_webgl is not None
    assert {trace["type"] for trace in parallel.without_webgl[0]} == {"scatter"}


@pytest.fixture
def facts(made: Made) -> Facts:
    """Six trials that hold, one of them far below the others, and two that diverged."""
    for number in range(5):
        layers = ((32,), (64, 32))[number % 2]
        made.add(layers=layers, rate=0.01 + number / 100, top=0.30 + number / 100)
    made.add(rate=0.2, top=0.04)
    for rate in (0.31, 0.8):
        diverge(made, rate)
    return made.facts


def diverge(made: Made, rate: float) -> None:
    """Adds a trial whose training diverged before it was validated."""
    made.add(rate=rate, epochs=3, state=TrialState.PRUNED, diverged=True, reason=REASON)


def test_they_are_counted_and_come_last(facts: Facts) -> None:
    assert "8 trials: 6 complete, 0 pruned, 2 diverged." in facts.verdict[0]
    assert any(
        "2 of 8 trials diverged: all with learning rate 0.3" in line for line in facts.cautions
    )
    [figure] = [each for each in hero(facts) if each.name == "finished trials"]
    assert (figure.value, figure.note) == ("8 of 50", "6 complete, 2 diverged")
    states = [row[-1][0] for row in leaderboard(facts).rows]
    assert states[-2:] == ["diverged at epoch 3"] * 2
    assert facts.cost.diverged_seconds == pytest.approx(0.6)
    assert facts.cost.saved_epochs == 0
    made = document(facts)
    last = made.leaderboard[-1]
    assert (made.trials["diverged"], last.state, last.value, last.reason) == (
        2,
        "diverged",
        None,
        REASON,
    )


def test_pictures_mark_them_at_the_lower_edge(facts: Facts) -> None:
    for plot in (history_plot(facts), *size_plots(facts)):
        [marks] = traces(plot, "diverged")
        assert plot is not None
        edge = plot.layout["yaxis"]["range"][0]
        assert marks["y"] == [edge, edge], "a point beyond the edge would not be drawn"
        assert marks["marker"]["color"] == FAIL
    [marks] = traces(curves_plot(facts), "diverged here")
    assert (marks["x"], marks["y"]) == ([3, 3], [0.0, 0.0])


def test_slices_shade_where_they_lie_and_no_bad_trial_squeezes_their_axis(facts: Facts) -> None:
    plots = slices(facts)
    [area] = [each for each in plots["learning rate"].layout["shapes"] if each["type"] == "rect"]
    assert (area["x0"], area["x1"], area["fillcolor"]) == (0.3, 1.0, FAIL)
    assert all(each["type"] == "line" for each in plots["depth"].layout["shapes"])
    [(low, high)] = {tuple(plot.layout["yaxis"]["range"]) for plot in plots.values()}
    assert (low > 0.2, high <= 1) == (True, True)
    [below] = traces(plots["learning rate"], "below the axis")
    assert len(below["x"]) == 1
    assert "best 0.0400" in below["text"][0], "its own value is beside the pointer"


def test_parallel_coordinates_end_below_all_others(facts: Facts) -> None:
    plot = parallel_plot(facts)
    assert plot is not None
    [lines] = plot.data
    accuracy = lines["dimensions"][-1]
    assert accuracy["ticktext"][0] == "diverged"
    assert accuracy["values"].count(min(accuracy["values"])) == 2
    assert lines["line"]["colorscale"][0] == [0.0, FAIL]
    assert plot.without_webgl is not None
    assert "diverged" in {trace["name"] for trace in plot.without_webgl[0]}


def test_the_page_says_why_each_of_them_ended(facts: Facts) -> None:
    text = page(facts)
    assert "2 diverged trials" in text
    assert text.count(REASON) >= 2
    assert "learning rate 0.3 and more" in text


def test_a_study_of_which_all_diverged_is_shown(made: Made) -> None:
    for rate in (0.3, 0.4, 0.5):
        diverge(made, rate)
    facts = made.facts
    assert "3 of 3 trials diverged: learning rate 0.3 to 0.5" in "".join(facts.cautions)
    assert "3 diverged trials" in page(facts)
