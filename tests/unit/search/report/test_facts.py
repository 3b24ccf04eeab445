"""What a report knows, from studies whose numbers are known."""

import math
from pathlib import Path

import pytest
from optuna.trial import TrialState

from search.report.confirmed import typical_deviation
from search.report.facts import LEAST_TRIALS, Facts, State, cost_of
from search.report.page import hero, page
from search.report.result_plots import confirmation_plot, size_plots
from search.report.tables import front_table, leaderboard, references_table, results_of_test
from search.report.writing import document
from tests.unit.search.report.made import FILE, Made, confirmed
from tests.unit.search.sample_records import START_MS, trial


def tops(made: Made, *values: float) -> Made:
    """The study with a complete trial for each of the values."""
    for value in values:
        made.add(top=value)
    return made


def led_by(facts: Facts) -> int | None:
    return facts.leader.number if facts.leader else None


def test_an_empty_study_is_known_to_be_empty(made: Made) -> None:
    facts = made.facts
    assert (facts.best, facts.confirmation, facts.importances) == (None, None, None)
    assert facts.state == "interrupted"
    assert facts.verdict == (
        "0 trials: 0 complete, 0 pruned. No trial is complete, so there is no best one.",
    )


def test_finished_trials_are_ranked_complete_ones_first(made: Made) -> None:
    made.add(top=0.2, layers=(32,))
    made.add(top=0.35, epochs=10, state=TrialState.PRUNED)
    made.add(top=0.3, layers=(128, 64, 32))
    made.add(state=TrialState.FAIL)
    table = leaderboard(made.facts)
    names = [name for name, _ in table.columns]
    shown = ("trial", "value", "hidden widths", "output width", "embedding dimension", "state")
    assert [[row[names.index(name)][0] for name in shown] for row in table.rows] == [
        ["2", "0.3000", "128, 64", "32", "32", "complete"],
        ["0", "0.2000", "none", "32", "32", "complete"],
        ["1", "0.3500", "64", "32", "32", "pruned at epoch 10"],
    ]


@pytest.mark.parametrize(("is_running", "state"), [(True, "running"), (False, "interrupted")])
def test_a_study_with_a_running_trial_runs(is_running: bool, state: State, made: Made) -> None:
    made.add(state=TrialState.FAIL)
    if is_running:
        made.study.ask()
    assert made.facts.state == state


def test_the_verdict_says_what_is_not_beaten(made: Made) -> None:
    made.keep_references()
    verdict = tops(made, 0.45).facts.verdict
    assert verdict[1] == "It is NOT above EASE, which needs no search."


def test_a_search_that_stalled_says_why_until_it_has_its_trials(tmp_path: Path) -> None:
    text = FILE.replace("seed = 3", "seed = 3\ntrials = 5\nstop_when_stalled = 2")
    with Made(tmp_path, text) as made:
        tops(made, 0.3, 0.2)
        assert len(made.facts.verdict) == 1
        tops(made, 0.2)
        assert made.facts.verdict[-1] == (
            "The search stopped before it had 5 trials: 2 trials in a row brought no new best."
        )
        tops(made, 0.2, 0.2)  # by --trials
        assert len(made.facts.verdict) == 1


def test_what_patience_saved_is_said(tmp_path: Path) -> None:
    with Made(tmp_path) as made:
        made.add(epochs=30)
        assert made.facts.saved_by_patience == ""
        made.add(epochs=10)
        made.add(epochs=25)
        assert made.facts.saved_by_patience == (
            "Patience ended 2 trials early and saved 25 of their 60 epochs."
        )


def test_importances_need_enough_trials(made: Made) -> None:
    for number in range(LEAST_TRIALS - 1):
        made.add(rate=0.01 * (number + 1), top=0.1 + number / 100)
    few = made.facts.importances
    assert few is None
    made.add(rate=0.5, layers=(32,), top=0.3)
    found = made.facts.importances
    assert found is not None
    assert sum(found.values()) == pytest.approx(1)
    assert {"learning_rate", "output_width"} <= set(found)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_confirmation_is_read_with_every_seed(made: Made) -> None:
    tops(made, 0.2, 0.36, 0.35, 0.345).keep_confirmation(1, 2)
    facts = made.facts
    assert [each.trial for each in facts.contenders] == [1, 2, None]
    assert facts.contenders[0].sample.values == (0.33, 0.34, 0.35)
    assert facts.contenders[0].value_of_search == pytest.approx(0.36)
    assert facts.tests["test_top_100_accuracy"].values == (0.32, 0.33, 0.34)
    # three contenders of three seeds, each with a deviation of 0.01: t(0.975, 6) = 2.4469
    noise = f"{2.4469 * math.sqrt(2) * 0.01:.4f}"
    assert any(noise in caution for caution in facts.cautions)
    assert results_of_test(facts).rows[0][1][0] == "0.3300 ± 0.0100"
    plot = confirmation_plot(facts)
    assert plot is not None
    assert len(plot.data[0]["x"]) == 9


def test_a_confirmation_costs_its_validations_and_its_tests(made: Made) -> None:
    assert made.facts.cost.confirmation_seconds is None
    made.keep_confirmation(1, 2)  # nine validations of half a second, three tests of one
    assert made.facts.cost.confirmation_seconds == pytest.approx(9 * 0.5 + 3 * 1.0)
    made.ledger.keep("validation:trial-0001:25:3", {"seed": 3, "val_top_100_accuracy": 0.3})
    assert made.facts.cost.confirmation_seconds is None, "one of them was not timed"


def test_the_page_begins_with_what_holds_over_seeds(made: Made) -> None:
    made.add(top=0.2, reference="a start")
    tops(made, 0.36, 0.38).keep_references()
    names = [figure.name for figure in hero(made.facts)]
    assert names[:2] == ["best of the search", "best starting point"]
    made.keep_confirmation(1, 2)
    facts = made.facts
    assert led_by(facts) == 1
    assert "Trial 1 is confirmed best over 3 seeds" in facts.verdict[0]
    assert "Trial 2 had the highest single value of the search" in facts.verdict[0]
    figures = hero(facts)
    assert [(figure.name, figure.value) for figure in figures[:3]] == [
        ("confirmed best", "0.3400"),
        ("test", "0.3300"),
        ("highest single value", "0.3800"),
    ]
    assert figures[3].note == '"a start" of the study file, validation, one seed'
    # what any model should beat stands beside what was tested
    table = references_table(facts)
    columns = [name for name, _ in table.columns]
    rows = {
        row[0][0]: dict(zip(columns, (text for text, _ in row), strict=True)) for row in table.rows
    }
    assert rows["trial 1 (32,)"]["validation: top-100 accuracy"] == "0.3400 ± 0.0100"
    assert rows["trial 1 (32,)"]["test: top-100 accuracy"] == "0.3300 ± 0.0100"
    single = rows["trial 2, highest single value"]
    assert single["validation: top-100 accuracy"] == "0.3800"


def test_another_confirmation_does_not_hide_a_better_one(made: Made) -> None:
    tops(made, 0.2, 0.36, 0.35).keep_confirmation(1, 2)
    made.ledger.keep("confirmation:2", confirmed(2, 2 * START_MS))
    facts = made.facts
    assert facts.confirmation is not None
    assert (facts.confirmation.trial, led_by(facts)) == (2, 1)


def test_trials_after_the_confirmation_are_newer(made: Made) -> None:
    # they end now, and the made-up confirmation is older
    tops(made, 0.36, 0.35, 0.37, 0.2).keep_confirmation(0, 1)
    facts = made.facts
    assert "2 trials are newer than the confirmation; the best of them, trial 2" in facts.verdict[1]
    assert facts.leader is not None
    assert len(facts.leader.newer) == 2


def test_a_collapsed_seed_neither_leads_nor_makes_the_noise(made: Made) -> None:
    tops(made, 0.36, 0.35, 0.34).keep_confirmation(0, 1)
    made.ledger.keep("validation:trial-0000:25:3", {"seed": 3, "val_top_100_accuracy": 0.02})
    facts = made.facts
    assert {each.trial: each.sample.collapsed for each in facts.contenders} == {0: 1, 1: 0, None: 0}
    assert typical_deviation(facts.contenders) == pytest.approx((0.01, 4, 0.0))
    assert facts.leader is not None
    assert facts.leader.is_unstable, "only trial 0 was confirmed"
    plot = confirmation_plot(facts)
    assert plot is not None
    assert "Trial 0 (64, 32) is unstable: 1 of 4 trainings collapsed." in plot.caption
    low, high = plot.layout["xaxis"]["range"]
    assert (low > 0.2, high <= 1) == (True, True), "what collapsed is drawn at the edge"
    [marks] = [trace for trace in plot.data if trace["name"] == "collapsed"]
    assert marks["x"] == [low]
    assert "1 of 4 trainings collapsed" in marks["text"][0]
    assert "trial 0" not in [trace["name"] for trace in plot.data], "no mean of what collapsed"


def test_saved_time_is_missing_epochs_times_the_trials_own_pace() -> None:
    trials = [
        trial(0, epochs=30, train_seconds=6.0),
        trial(1, "pruned", epochs=10, train_seconds=2.0),  # 20 epochs missing, 0.2 s each
        trial(2, "pruned", epochs=5, train_seconds=5.0),  # 25 epochs missing, 1 s each
        trial(3, "failed", epochs=5, train_seconds=1.0),
    ]
    cost = cost_of(trials, epochs=30)
    assert (cost.train_seconds, cost.trained_epochs, cost.saved_epochs) == (14.0, 50, 45)
    assert cost.saved_seconds == pytest.approx(4.0 + 25.0)
    assert cost.saved_share == pytest.approx(29 / 43)
    assert cost.patience_epochs == 0
    ended = trial(4, epochs=12, train_seconds=6.0)  # complete: patience ended it
    cost = cost_of([*trials, ended], epochs=30)
    assert (cost.saved_epochs, cost.patience_epochs) == (45 + 18, 18)
    assert cost.saved_seconds == pytest.approx(4.0 + 25.0 + 9.0)
    cut = trial(5, "interrupted", epochs=10, train_seconds=3.0)
    again = trial(6, "pruned", epochs=15, retry_of=5, resumed_after=10, train_seconds=2.0)
    cost = cost_of([cut, again], epochs=30)
    assert (cost.train_seconds, cost.trained_epochs, cost.saved_epochs) == (5.0, 15, 15)
    assert cost.saved_seconds == pytest.approx(15 * 2.0 / 5)
    cost = cost_of([trial(0, "running")], epochs=30)
    assert (cost.train_seconds, cost.saved_epochs, cost.saved_share) == (0.0, 0, None)


@pytest.mark.parametrize(
    ("spans", "covered"), [([(0, 10), (5, 12), (6, 8), (100, 101)], 13.0), ([], 0.0)]
)
def test_time_side_by_side_counts_once(spans: list[tuple[int, int]], covered: float) -> None:
    trials = [trial(9, "running")]
    trials += [
        trial(number, started_ms=START_MS + 1000 * start, ended_ms=START_MS + 1000 * end)
        for number, (start, end) in enumerate(spans)
    ]
    assert cost_of(trials, epochs=30).wall_seconds == covered


def test_what_is_above_a_limit_is_nowhere_the_best(tmp_path: Path) -> None:
    limits = "[limits]\nparameters = 1_000_000\nmilliseconds = 5\n"
    with Made(tmp_path, limits + FILE) as made:
        for top, took in ((0.2, 4.0), (0.3, 9.0), (0.25, 3.0)):
            made.add(layers=(16,), embedding=16, top=top, costs={"milliseconds": took})
        made.add(layers=(256,), embedding=64, top=0.35, costs={"milliseconds": 1.0})
        facts = made.facts
        assert facts.best is not None
        assert facts.best.number == 2
        assert [each.number for each in facts.finished] == [2, 0, 3, 1]
        assert facts.verdict[0].startswith(
            "4 trials: 4 complete, 0 pruned; 2 of them infeasible, above a limit of the study. "
            "Trial 2 is the best"
        )
        rows = document(facts).leaderboard
        assert [each.infeasible for each in rows] == [
            None,
            None,
            "16,384,000 parameters (limit 1,000,000)",
            "9 ms (limit 5)",
        ]
        assert rows[0].costs == {"parameters": 256_000, "milliseconds": 3.0}
        shown = page(facts)
    assert "complete, infeasible: 9 ms (limit 5)" in shown


SEVERAL = """
[objective]
metrics = ["top_accuracy@100", "parameters", "milliseconds"]

[limits]
milliseconds = 5
"""


def test_the_front_of_several_objectives_is_drawn_and_listed(tmp_path: Path) -> None:
    text = SEVERAL + FILE.partition("[pruner]")[0]
    with Made(tmp_path, text) as made:
        for width, took, top in ((16, 4, 0.2), (32, 3, 0.3), (64, 3, 0.25), (64, 2, 0.24)):
            made.add(
                layers=(width,), top=top, costs={"milliseconds": took}, further=(1.0, float(took))
            )
        made.add(layers=(16,), top=0.4, costs={"milliseconds": 9}, further=(1.0, 9.0))
        facts = made.facts
        assert [each.number for each in facts.front] == [1, 3, 0]  # the fastest, the smallest
        assert facts.verdict[1] == (
            "The Pareto front of accuracy, parameters and milliseconds has 3 trials: "
            "trial 1 (0.3000, 1,024,000, 3) to trial 0 (0.2000, 512,000, 4)."
        )
        shown = [[text for text, _ in row[:4]] for row in front_table(facts).rows]
        assert shown[0] == ["1", "0.3000", "1,024,000", "3"]
        by_size, by_time = size_plots(facts)
        assert (by_size.id, by_time.id) == ("plot-size-parameters", "plot-size-milliseconds")
        assert by_time.data[0]["x"] == [2, 3, 4]
        assert by_time.layout["shapes"][0]["x0"] == 5
        assert "trial 3, the fastest, has 2 ms and 0.2400" in by_time.caption
        written = document(facts)
        assert written.front == [1, 3, 0]
        assert written.leaderboard[0].values == {
            "val_top_100_accuracy": 0.3,
            "parameters": 1_024_000,
            "milliseconds": 3,
        }
        assert "Trade-offs" in page(facts)
