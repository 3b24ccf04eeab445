"""A trial and a metric in words."""

import pytest

from search.records.trials import (
    configuration_words,
    further_words,
    metric_words,
    parameter_words,
    rate_text,
    trial_line,
)
from tests.unit.search.sample_records import trial

PARAMETERS = {
    "depth": 3,
    "output_width": 32,
    "hidden_width_1": 64,
    "hidden_width_2": 2048,
    "embedding_dimension": 32,
    "learning_rate": 0.123456,
}
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


def test_what_is_not_known_is_left_out_of_a_configuration() -> None:
    assert configuration_words(trial(0, parameters={}, derived={})) == ""
    assert configuration_words(trial(0, parameters=PARAMETERS)) == (
        "layers (64, 32), embedding dimension 32, learning rate 0.123"
    )


def test_parameters_without_a_column_are_listed() -> None:
    assert further_words(trial(0, parameters=PARAMETERS)) == ""
    assert further_words(trial(0, parameters=PARAMETERS | RANKING)) == parameter_words(RANKING)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("test_top_100_accuracy_unseen", "test: top-100 accuracy, seen movies left out"),
        ("val_recall_at_10", "validation: recall@10"),
        ("val_coverage_at_10", "validation: coverage at 10"),
        ("train_loss", "train: loss"),
    ],
)
def test_a_metric_in_words(name: str, words: str) -> None:
    assert metric_words(name) == words


def test_a_trial_that_was_interrupted_says_why() -> None:
    reason = "interrupted from the keyboard"
    assert trial_line(trial(5, "interrupted", reason=reason)).startswith(
        f"trial 5 interrupted: {reason}"
    )
    assert "trial 5 failed: no reason recorded" in trial_line(trial(5, "failed", reason=None))


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (None, ""),
        (0.05, "0.05"),
        (0.00512345, "0.00512"),
        (0.000123456, "0.00012"),
        (0.0000123456, "1.2e-05"),
        (1.0, "1"),
    ],
)
def test_a_rate_is_short(rate: float | None, text: str) -> None:
    assert rate_text(rate) == text
