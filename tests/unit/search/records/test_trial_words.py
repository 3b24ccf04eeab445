"""A trial in words."""

import pytest

from search.records.trials import configuration_text, further_parameters, rate_text, trial_line
from tests.unit.search.sample_records import trial


def test_what_is_not_known_is_left_out_of_a_configuration() -> None:
    assert configuration_text(trial(0, parameters={}, derived={})) == ""
    assert configuration_text(trial(0, parameters={"learning_rate": 0.012345})) == (
        "(64, 32), learning rate 0.0123"
    )


def test_a_trial_that_was_interrupted_says_why() -> None:
    reason = "interrupted from the keyboard"
    assert trial_line(trial(5, "interrupted", reason=reason)).startswith(
        f"trial 5 interrupted: {reason}"
    )
    assert "trial 5 failed: no reason recorded" in trial_line(trial(5, "failed", reason=None))


def test_parameters_without_a_column_are_listed() -> None:
    parameters = {
        "depth": 2,
        "output_width": 32,
        "hidden_width_1": 64,
        "embedding_dimension": 32,
        "learning_rate": 0.05,
    }
    assert further_parameters(trial(0, parameters=parameters)) == ""
    ranking = {"normalize": True, "temperature": 0.051234, "rating_power": 2.0}
    assert further_parameters(trial(0, parameters=parameters | ranking)) == (
        "normalize true, temperature 0.0512, rating power 2"
    )


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
