"""What a report knows, from studies whose numbers are known."""

import math

import optuna
import pytest
from optuna.trial import TrialState

from search.config.study import StudySpec
from search.records.trials import TrialRecord
from search.report.confirmed import typical_deviation
from search.report.document import document
from search.report.facts import LEAST_TRIALS, State
from search.report.findings import pareto_front
from search.report.page import hero
from search.report.parallel_plot import parallel_plot
from search.report.result_plots import confirmation_plot
from search.report.tables import leaderboard, references_table, results_of_test
from search.report.trial_plots import slice_plots
from search.storage.results import Ledger
from tests.unit.search.report.made import (
    add_trial,
    facts_of,
    fill,
    keep_confirmation_of,
    keep_references,
)
from tests.unit.search.sample_records import START_MS, trial


def test_an_empty_study_is_known_to_be_empty(study: optuna.Study, spec: StudySpec) -> None:
    facts = facts_of(study, spec)
    assert (facts.best, facts.confirmation, facts.importances) == (None, None, None)
    assert facts.state == "interrupted"
    assert facts.verdict == (
        "0 trials: 0 complete, 0 pruned. No trial is complete, so there is no best one.",
    )


def test_finished_trials_are_ranked_complete_ones_first(
    study: optuna.Study, spec: StudySpec
) -> None:
    add_trial(study, spec, top=0.2)
    add_trial(study, spec, top=0.35, epochs=10, state=TrialState.PRUNED)
    add_trial(study, spec, top=0.3)
    add_trial(study, spec, state=TrialState.FAIL)
    facts = facts_of(study, spec)
    assert [each.number for each in facts.finished] == [2, 0, 1]
    assert facts.best is not None
    assert facts.best.number == 2
    table = leaderboard(facts)
    names = [name for name, _ in table.columns]
    assert [row[names.index("state")][0] for row in table.rows] == [
        "complete",
        "complete",
        "pruned at epoch 10",
    ]
    assert table.rows[0][names.index("value")][0] == "0.3000"


@pytest.mark.parametrize(
    ("last", "state"), [(TrialState.RUNNING, "running"), (TrialState.FAIL, "interrupted")]
)
def test_a_study_with_a_trial_under_way_is_running(
    last: TrialState, state: State, study: optuna.Study, spec: StudySpec
) -> None:
    add_trial(study, spec)
    if last == TrialState.RUNNING:
        study.ask()
    else:
        add_trial(study, spec, state=last)
    assert facts_of(study, spec).state == state


def test_the_verdict_says_what_is_not_beaten(study: optuna.Study, spec: StudySpec) -> None:
    add_trial(study, spec, top=0.45)
    keep_references(study)
    facts = facts_of(study, spec)
    assert facts.verdict[1] == "It is NOT better than EASE, which needs no search."


def test_a_confirmation_is_read_with_every_seed(study: optuna.Study, spec: StudySpec) -> None:
    for top in (0.2, 0.36, 0.35, 0.345):
        add_trial(study, spec, top=top)
    keep_references(study)
    keep_confirmation_of(study, 1, 2)
    facts = facts_of(study, spec)
    assert [each.short_name for each in facts.contenders] == ["trial 1", "trial 2", "reference"]
    first = facts.contenders[0]
    assert first.sample.values == (0.33, 0.34, 0.35)
    assert first.value_of_search == pytest.approx(0.36)
    assert facts.tests["test_top_100_accuracy"].values == (0.32, 0.33, 0.34)
    # three contenders of three seeds, each with a deviation of 0.01: t(0.95, 6) = 1.9432
    noise = f"{1.9432 * math.sqrt(2) * 0.01:.4f}"
    assert any(noise in caution for caution in facts.cautions)
    table = results_of_test(facts)
    assert table.rows[0][1][0] == "0.3300 ± 0.0100"
    plot = confirmation_plot(facts)
    assert plot is not None
    assert len(plot.data[0]["x"]) == 9


def test_a_confirmation_costs_its_validations_and_its_tests(
    study: optuna.Study, spec: StudySpec
) -> None:
    assert facts_of(study, spec).cost.confirmation_seconds is None
    keep_confirmation_of(study, 1, 2)  # nine validations of half a second, three tests of one
    assert facts_of(study, spec).cost.confirmation_seconds == pytest.approx(9 * 0.5 + 3 * 1.0)
    Ledger(study).keep("validation:trial-0001:25:3", {"seed": 3, "val_top_100_accuracy": 0.3})
    assert facts_of(study, spec).cost.confirmation_seconds is None, "one of them was not timed"


def test_importances_need_enough_trials(study: optuna.Study, spec: StudySpec) -> None:
    for number in range(LEAST_TRIALS - 1):
        add_trial(study, spec, rate=0.01 * (number + 1), top=0.1 + number / 100)
    assert facts_of(study, spec).importances is None
    add_trial(study, spec, rate=0.5, layers=(32,), top=0.3)
    found = facts_of(study, spec).importances
    assert found is not None
    assert sum(found.values()) == pytest.approx(1)
    assert {"learning_rate", "output_width"} <= set(found)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_the_front_holds_what_nobody_beats_with_fewer_parameters() -> None:
    def sized(number: int, count: int, value: float) -> TrialRecord:
        return trial(number, value=value, derived={"parameter_count": count})

    trials = [sized(0, 100, 0.2), sized(1, 100, 0.3), sized(2, 50, 0.1), sized(3, 200, 0.3)]
    trials += [sized(4, 400, 0.4), trial(5, "pruned", derived={"parameter_count": 10})]
    assert [each.number for each in pareto_front(trials)] == [2, 1, 4]


def test_pictures_have_the_edges_of_the_space_and_a_way_without_webgl(
    study: optuna.Study, spec: StudySpec
) -> None:
    fill(study, spec, 12)
    facts = facts_of(study, spec)
    slices = dict(slice_plots(facts))
    edges = [shape["x0"] for shape in slices["learning rate"].layout["shapes"]]
    assert edges == [0.005, 1.0]
    parallel = parallel_plot(facts)
    assert parallel is not None
    assert parallel.without_webgl is not None
    traces, _ = parallel.without_webgl
    assert {trace["type"] for trace in traces} == {"scatter"}


def test_after_a_confirmation_the_page_begins_with_what_it_preferred(
    study: optuna.Study, spec: StudySpec
) -> None:
    for top in (0.2, 0.36, 0.38):
        add_trial(study, spec, top=top, reference="a start" if top == 0.2 else None)
    keep_references(study)
    assert [figure.name for figure in hero(facts_of(study, spec))][:2] == [
        "best of the search",
        "best starting point",
    ]
    keep_confirmation_of(study, 1, 2)
    facts = facts_of(study, spec)
    assert facts.leader is not None
    assert facts.leader.number == 1
    assert "Trial 1 is confirmed best over 3 seeds" in facts.verdict[0]
    assert "Trial 2 had the highest single value of the search" in facts.verdict[0]
    figures = hero(facts)
    assert [(figure.name, figure.value) for figure in figures[:3]] == [
        ("confirmed best", "0.3400"),
        ("test", "0.3300"),
        ("highest single value", "0.3800"),
    ]
    assert figures[3].note == '"a start" of the study file, validation, one seed'


def test_what_any_model_should_beat_stands_beside_what_was_tested(
    study: optuna.Study, spec: StudySpec
) -> None:
    for top in (0.2, 0.36, 0.38):
        add_trial(study, spec, top=top)
    keep_references(study)
    keep_confirmation_of(study, 1, 2)
    table = references_table(facts_of(study, spec))
    names = [name for name, _ in table.columns]
    rows = {row[0][0]: [text for text, _ in row] for row in table.rows}
    validated = names.index("validation: top-100 accuracy")
    tested = names.index("test: top-100 accuracy")
    assert rows["trial 1 (32,)"][validated] == "0.3400 ± 0.0100"
    assert rows["trial 1 (32,)"][tested] == "0.3300 ± 0.0100"
    assert rows["trial 2, highest single value"][validated] == "0.3800"


def test_another_confirmation_does_not_hide_a_better_one(
    study: optuna.Study, spec: StudySpec
) -> None:
    for top in (0.2, 0.36, 0.35):
        add_trial(study, spec, top=top)
    keep_confirmation_of(study, 1, 2)
    ledger = Ledger(study)
    last = {"trial": 2, "name": "trial 2", "metrics": {}, "lines": [], "confirmed_ms": 2 * START_MS}
    ledger.keep("confirmation:2", last)
    facts = facts_of(study, spec)
    assert facts.confirmation is not None
    assert facts.confirmation.trial == 2
    assert facts.leader is not None
    assert facts.leader.number == 1


def test_trials_after_the_confirmation_are_newer(study: optuna.Study, spec: StudySpec) -> None:
    for top in (0.36, 0.35, 0.37, 0.2):
        add_trial(study, spec, top=top)  # they end now, and the made-up confirmation is older
    keep_confirmation_of(study, 0, 1)
    facts = facts_of(study, spec)
    assert "2 trials are newer than the confirmation; the best of them, trial 2" in facts.verdict[1]
    made = document(facts)
    assert made.confirmation is not None
    assert made.confirmation.newer_trials == 2


def test_a_collapsed_seed_neither_leads_nor_makes_the_noise(
    study: optuna.Study, spec: StudySpec
) -> None:
    for top in (0.36, 0.35, 0.34):
        add_trial(study, spec, top=top)
    keep_confirmation_of(study, 0, 1)
    ledger = Ledger(study)
    ledger.keep("validation:trial-0000:25:3", {"seed": 3, "val_top_100_accuracy": 0.02})
    facts = facts_of(study, spec)
    assert [each.is_unstable for each in facts.contenders if each.trial == 0] == [True]
    assert typical_deviation(facts.contenders) == pytest.approx((0.01, 4))
    assert facts.leader is not None
    assert facts.leader.is_unstable, "only trial 0 was confirmed"
    plot = confirmation_plot(facts)
    assert plot is not None
    assert "Trial 0 (64, 32) is unstable: 1 of 4 trainings collapsed." in plot.caption
    low, high = plot.layout["xaxis"]["range"]
    assert low > 0.2, "what collapsed is drawn at the edge"
    [marks] = [trace for trace in plot.data if trace["name"] == "collapsed"]
    assert marks["x"] == [low]
    assert "1 of 4 trainings collapsed" in marks["text"][0]
    assert "trial 0" not in [trace["name"] for trace in plot.data], "no mean of what collapsed"
    contenders = document(facts).confirmation
    assert contenders is not None
    assert {each.trial: each.collapsed for each in contenders.contenders} == {0: 1, 1: 0, None: 0}
    assert high <= 1
