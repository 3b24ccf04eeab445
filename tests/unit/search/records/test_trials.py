"""Trial records: what counts, which is the best, costs against limits, and all that in words."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.records.results import RetrainRecord
from search.records.trials import (
    CurvePoint,
    TrialRecord,
    TrialState,
    best_by_depth,
    best_of,
    breach,
    by_depth,
    configuration_words,
    depth_of,
    excesses,
    front_of,
    further_words,
    metric_words,
    parameter_words,
    rate_text,
    shown_metrics,
    trial_line,
)
from tests.unit.search.sample_records import trial


def test_only_trials_with_a_result_count_in_the_budget() -> None:
    counted = [state for state in get_args(TrialState) if trial(state=state).is_finished]
    assert sorted(counted) == ["complete", "diverged", "pruned"]


@pytest.mark.parametrize(
    ("trials", "best"),
    [
        ([trial(0, value=0.2), trial(1, value=0.3), trial(2, value=0.1)], 1),
        ([trial(2, value=0.3), trial(1, value=0.3), trial(3, value=0.3)], 1),
        ([trial(4, value=0.0)], 4),
        ([trial(0, value=0.9, infeasible="9 MB (limit 8)"), trial(1, value=0.1)], 1),
        (
            [trial(0, "pruned", value=0.9), trial(1, "failed", value=0.9), trial(2, value=None)],
            None,
        ),
        ([], None),
    ],
)
def test_the_best_is_the_earliest_complete_trial_of_the_highest_value(
    trials: list[TrialRecord], best: int | None
) -> None:
    found = best_of(trials)
    assert (found.number if found else None) == best


def of(number: int, value: float, parameters: int, more: float = 0.0) -> TrialRecord:
    """A complete trial by three objectives: its value, its size, another metric."""
    metrics = {"train_loss": 1.0, "val_ndcg_at_10": value, "val_recall_at_10": more}
    return trial(
        number,
        value=value,
        best_epoch=5,
        costs={"parameters": parameters},
        curve=(CurvePoint(epoch=5, timestamp_ms=0, metrics=metrics),),
    )


BY_SIZE = ("val_ndcg_at_10", "parameters")


@pytest.mark.parametrize(
    ("trials", "objectives", "front"),
    [
        ([], BY_SIZE, []),
        ([of(0, 0.2, 100)], BY_SIZE, [0]),
        # worse and larger than 1; equal to 1, and later; as large as 1, and worse
        ([of(0, 0.2, 300), of(1, 0.3, 200), of(2, 0.3, 200), of(3, 0.1, 200)], BY_SIZE, [1]),
        ([of(0, 0.3, 300), of(1, 0.3, 200), of(2, 0.1, 100), of(3, 0.4, 900)], BY_SIZE, [3, 1, 2]),
        # what is dominated by size stays for another metric
        (
            [of(0, 0.3, 200, 0.1), of(1, 0.2, 300, 0.9), of(2, 0.2, 300, 0.8)],
            (*BY_SIZE, "val_recall_at_10"),
            [0, 1],
        ),
        ([of(0, 0.3, 200), of(1, 0.2, 300)], (*BY_SIZE, "milliseconds"), []),  # never measured
        ([trial(0, "pruned", value=0.9, costs={"parameters": 1}), of(1, 0.1, 9)], BY_SIZE, [1]),
        ([replace(of(0, 0.9, 9), infeasible="9 (limit 8)"), of(1, 0.1, 9)], BY_SIZE, [1]),
    ],
)
def test_the_front_holds_what_no_other_beats_by_all_objectives(
    trials: list[TrialRecord], objectives: tuple[str, ...], front: list[int]
) -> None:
    assert [each.number for each in front_of(trials, objectives)] == front


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3]), st.integers(1, 4)), max_size=12))
def test_a_front_dominates_all_that_is_not_on_it_and_nothing_on_it(
    values: list[tuple[float, int]],
) -> None:
    def beats(one: TrialRecord, other: TrialRecord) -> bool:
        a, b = ((each.value or 0.0, -each.costs["parameters"]) for each in (one, other))
        return a[0] >= b[0] and a[1] >= b[1]

    trials = [of(number, *each) for number, each in enumerate(values)]
    front = front_of(trials, BY_SIZE)
    assert all(any(beats(one, each) for one in front) for each in trials)
    assert not any(beats(one, other) for one in front for other in front if one is not other)


@pytest.mark.parametrize(("text", "depth"), [("", 0), ("(32,)", 1), ("(256, 256, 256, 32)", 4)])
def test_a_depth_is_the_number_of_widths_or_none_if_unknown(text: str, depth: int) -> None:
    record = trial(derived={"layer_sizes": text} if text else {})
    again = RetrainRecord(
        trial=0, parameters={}, derived=record.derived, epochs=1, seed=0, metrics={},
        started_ms=0, ended_ms=1,
    )  # fmt: skip
    assert record.layer_sizes == again.layer_sizes == text
    assert depth_of(record.layer_sizes) == depth


def test_trials_are_sorted_shallow_to_deep_and_each_depth_has_its_best() -> None:
    trials = [
        trial(0, layers=(64, 32), top=0.30),
        trial(1, layers=(32,), top=0.20),
        trial(6, layers=(16, 16), top=0.31),
        trial(2, layers=(128, 32), top=0.31),
        trial(3, "pruned", layers=(256, 32), top=0.40),
        trial(4, "pruned", layers=(64, 64, 32), top=0.10),
        trial(5, "failed", layers=(16, 16, 16, 16)),
    ]
    numbers = {depth: [each.number for each in alike] for depth, alike in by_depth(trials).items()}
    assert list(numbers.items()) == [(1, [1]), (2, [0, 6, 2, 3]), (3, [4]), (4, [5])]
    # A complete trial comes before a pruned one, the earlier before its equal.
    best = {depth: each.number for depth, each in best_by_depth(trials).items()}
    assert list(best.items()) == [(1, 1), (2, 2), (3, 4)]


PARAMETERS: dict[str, float] = {"depth": 3, "output_width": 32}
PARAMETERS |= {"hidden_width_1": 64, "hidden_width_2": 2048}
PARAMETERS |= {"embedding_dimension": 32, "learning_rate": 0.123456}
RANKING = {"normalize": True, "temperature": 0.051234, "rating_power": 2.0}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, ""),
        (
            PARAMETERS,
            "hidden widths 2048, 64, output width 32, embedding dimension 32, learning rate 0.123",
        ),
        (
            {"depth": 2, "hidden_width_1": 64} | RANKING,
            "hidden width 64, normalize true, temperature 0.0512, rating power 2",
        ),
    ],
)
def test_parameters_in_full(parameters: dict[str, float], words: str) -> None:
    assert parameter_words(parameters) == words


def test_what_is_not_known_is_left_out_and_what_has_no_column_listed() -> None:
    assert configuration_words(trial(0, parameters={}, derived={})) == ""
    assert configuration_words(trial(0, parameters=PARAMETERS)) == (
        "layers (64, 32), embedding dimension 32, learning rate 0.123"
    )
    assert further_words(trial(0, parameters=PARAMETERS)) == ""
    assert further_words(trial(0, parameters=PARAMETERS | RANKING)) == parameter_words(RANKING)


def test_a_metric_in_words() -> None:
    words = {
        "test_top_100_accuracy_unseen": "test: top-100 accuracy, seen movies left out",
        "val_recall_at_10": "validation: recall@10",
        "val_coverage_at_10": "validation: coverage@10",
        "val_popularity_percentile_at_10": "validation: popularity percentile@10",
        "test_gini_at_5": "test: Gini@5",
        "train_loss": "train: loss",
    }
    assert {name: metric_words(name) for name in words} == words


def test_tables_show_what_a_study_reports_or_what_movielens_always_has() -> None:
    reported = ["val_top_100_accuracy", "val_gini_at_10"]
    assert shown_metrics([*reported, "val_loss"]) == reported
    always = ["val_coverage_at_10", "val_top_100_accuracy", "val_top_100_accuracy_unseen"]
    assert shown_metrics(always) == always[1:]


def test_a_trial_above_a_limit_says_by_how_much() -> None:
    over = "9 MB (limit 8)"
    complete = "trial 0 complete: accuracy 0.2355 at epoch 10, infeasible: 9 MB (limit 8)  layers"
    assert trial_line(trial(0, infeasible=over)).startswith(complete)
    untrained = trial(0, "pruned", epochs=0, infeasible=over)
    assert trial_line(untrained).startswith(
        "trial 0 pruned: not trained, infeasible: 9 MB (limit 8)  layers"
    )


def test_a_trial_that_was_interrupted_says_why() -> None:
    reason = "interrupted from the keyboard"
    assert trial_line(trial(5, "interrupted", reason=reason)).startswith(
        f"trial 5 interrupted: {reason}"
    )
    resumed = trial_line(trial(6, retry_of=5, resumed_after=25, train_seconds=1.25))
    assert resumed.endswith("  1.2 s after epoch 25")
    assert "trial 5 failed: no reason recorded" in trial_line(trial(5, "failed", reason=None))


def test_a_rate_is_short() -> None:
    rates = {None: "", 0.05: "0.05", 0.00512345: "0.00512", 0.000123456: "0.00012"}
    rates |= {0.0000123456: "1.2e-05", 1.0: "1"}
    assert {rate: rate_text(rate) for rate in rates} == rates


LIMITS = {"parameters": 2_000, "megabytes": 8.0, "milliseconds": 5.0}
WITHIN = {"parameters": 2_000, "megabytes": 7.99, "milliseconds": 1.0}


@pytest.mark.parametrize(
    ("costs", "is_whole", "said"),
    [
        (WITHIN, True, None),  # a limit itself is kept
        (WITHIN | {"parameters": 2_001}, True, "2,001 parameters (limit 2,000)"),
        (
            WITHIN | {"megabytes": 9.3124, "milliseconds": 6.0},
            True,
            "9.312 MB (limit 8), 6 ms (limit 5)",
        ),
        ({"parameters": 3_000}, False, "3,000 parameters (limit 2,000)"),
        ({"parameters": 1_000}, False, None),  # pruned before the others were measured
        (
            {"parameters": 1_000, "megabytes": 1.0},
            True,
            "milliseconds not measured (limit 5)",
        ),
    ],
)
def test_a_broken_limit_is_named_with_what_was_measured(
    costs: dict[str, float], is_whole: bool, said: str | None
) -> None:
    assert breach(costs, LIMITS, is_whole=is_whole) == said
    assert breach(costs, {}, is_whole=is_whole) is None


def test_an_excess_is_a_share_of_its_limit_so_that_all_costs_weigh_alike() -> None:
    costs = {"parameters": 3_000, "megabytes": 4.0, "bytes": 1.0}
    assert excesses(costs, LIMITS) == {"parameters": 0.5, "megabytes": -0.5}
