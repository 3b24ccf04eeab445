"""Trial records: what counts, and which is the best."""

import pytest

from search.records.trials import TrialState, best_of
from tests.unit.search.sample_records import trial


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        ("waiting", False),
        ("running", False),
        ("complete", True),
        ("pruned", True),
        ("failed", False),
        ("interrupted", False),
    ],
)
def test_only_complete_and_pruned_trials_count_towards_the_budget(
    state: TrialState, counts: bool
) -> None:
    assert trial(state=state).is_finished is counts


def test_the_best_is_the_complete_trial_with_the_highest_value() -> None:
    trials = [trial(0, value=0.2), trial(1, value=0.3), trial(2, value=0.1)]
    best = best_of(trials)
    assert best is not None
    assert best.number == 1


def test_among_equals_the_earliest_is_the_best_whatever_the_order() -> None:
    trials = [trial(2, value=0.3), trial(1, value=0.3), trial(3, value=0.3)]
    best = best_of(trials)
    assert best is not None
    assert best.number == 1


def test_an_accuracy_of_zero_is_an_accuracy() -> None:
    assert best_of([trial(4, value=0.0)]) == trial(4, value=0.0)


def test_pruned_failed_and_valueless_trials_are_never_the_best() -> None:
    others = [trial(0, "pruned", value=0.9), trial(1, "failed", value=0.9), trial(2, value=None)]
    assert best_of(others) is None
    assert best_of([]) is None


def test_layer_sizes_are_empty_while_unknown() -> None:
    assert trial(layers=(64, 32)).layer_sizes == "(64, 32)"
    assert trial(derived={}).layer_sizes == ""
