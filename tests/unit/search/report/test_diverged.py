"""Trials that diverged: a group of their own on the page, in the pictures and in the JSON."""

import json
from typing import Any

import optuna
import pytest

from search.config.study import StudySpec
from search.records.trials import TrialRecord
from search.report.curve_plots import curves_plot, history_plot
from search.report.document import document
from search.report.facts import Facts
from search.report.page import hero, page
from search.report.parallel_plot import parallel_plot
from search.report.style import FAIL, Plot
from search.report.tables import leaderboard
from search.report.trial_plots import size_plot, slice_plots
from tests.unit.search.report.made import facts_of
from tests.unit.search.sample_records import trial

REASON = "train_loss is 1.8e+14 at epoch 3"


def diverged(number: int, rate: float) -> TrialRecord:
    """A trial whose training diverged before it was validated."""
    parameters = {"depth": 2, "embedding_dimension": 32, "learning_rate": rate}
    return trial(number, "diverged", epochs=3, parameters=parameters, value=None, reason=REASON)


def healthy(number: int, rate: float, value: float) -> TrialRecord:
    parameters = {"depth": 1 + number % 2, "embedding_dimension": 32, "learning_rate": rate}
    return trial(number, parameters=parameters, value=value)


@pytest.fixture
def facts(study: optuna.Study, spec: StudySpec, monkeypatch: pytest.MonkeyPatch) -> Facts:
    """Six trials that hold, one of them far below the others, and two that diverged."""
    trials = [healthy(number, 0.01 + number / 100, 0.30 + number / 100) for number in range(5)]
    trials += [healthy(5, 0.2, 0.04), diverged(6, 0.31), diverged(7, 0.8)]
    monkeypatch.setattr("search.report.facts.records", lambda study: trials)
    return facts_of(study, spec)


def traces(plot: Plot | None, name: str) -> list[dict[str, Any]]:
    assert plot is not None
    return [trace for trace in plot.data if trace.get("name") == name]


def test_they_are_counted_and_come_last(facts: Facts) -> None:
    assert "8 trials: 6 complete, 0 pruned, 2 diverged." in facts.verdict[0]
    assert any(
        "2 of 8 trials diverged: all with learning rate 0.3" in line for line in facts.cautions
    )
    [figure] = [each for each in hero(facts) if each.name == "finished trials"]
    assert figure.value == "8 of 50"
    assert figure.note == "6 complete, 2 diverged"
    table = leaderboard(facts)
    assert [row[-1][0] for row in table.rows][-2:] == ["diverged at epoch 3"] * 2
    assert facts.cost.diverged_seconds == pytest.approx(9.0)
    assert facts.cost.saved_epochs == 0


def test_the_json_has_them_with_their_reason(facts: Facts) -> None:
    made = document(facts)
    assert made.trials["diverged"] == 2
    last = made.leaderboard[-1]
    assert (last.state, last.value, last.reason) == ("diverged", None, REASON)
    assert made.cost.diverged_seconds == pytest.approx(9.0)


def test_pictures_mark_them_at_the_lower_edge(facts: Facts) -> None:
    for plot in (history_plot(facts), size_plot(facts)):
        [marks] = traces(plot, "diverged")
        assert plot is not None
        edge = plot.layout["yaxis"]["range"][0]
        assert marks["y"] == [edge, edge], "a point beyond the edge would not be drawn"
        assert marks["marker"]["color"] == FAIL
    [marks] = traces(curves_plot(facts), "diverged here")
    assert (marks["x"], marks["y"]) == ([3, 3], [0.0, 0.0])


def test_the_part_of_the_axis_where_they_lie_is_shaded(facts: Facts) -> None:
    slices = dict(slice_plots(facts))
    [area] = [each for each in slices["learning rate"].layout["shapes"] if each["type"] == "rect"]
    assert (area["x0"], area["x1"], area["fillcolor"]) == (0.3, 1.0, FAIL)
    assert all(each["type"] == "line" for each in slices["depth"].layout["shapes"])


def test_slices_share_an_axis_that_no_bad_trial_squeezes(facts: Facts) -> None:
    ranges = {tuple(plot.layout["yaxis"]["range"]) for _, plot in slice_plots(facts)}
    [(low, high)] = ranges
    assert low > 0.2
    assert high <= 1
    below = traces(dict(slice_plots(facts))["learning rate"], "below the axis")
    assert [len(trace["x"]) for trace in below] == [1]
    assert "best 0.0400" in below[0]["text"][0], "its own value is beside the pointer"


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
    json.dumps(document(facts).model_dump(mode="json"), allow_nan=False)


def test_a_study_of_which_all_diverged_is_shown(
    study: optuna.Study, spec: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [diverged(number, 0.3 + number / 10) for number in range(3)]
    monkeypatch.setattr("search.report.facts.records", lambda study: trials)
    facts = facts_of(study, spec)
    assert "3 of 3 trials diverged: learning rate 0.3 to 0.5" in "".join(facts.cautions)
    assert "3 diverged trials" in page(facts)
