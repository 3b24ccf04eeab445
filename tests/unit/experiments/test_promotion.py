"""Successive halving that promotes, worked by hand."""

from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.experiments import promotion
from tests.experiments.promotion import Halving
from tests.unit.search.specs import small_spec


def test_what_has_paused_goes_on_once_it_is_among_the_best_of_its_rung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curves = [
        [0.1, 0.2, 0.3, 0.4],  # never among the better half of those that have begun
        [0.3, 0.3, 0.3, 0.3],  # of two the better; pauses again until another one is behind it
        [0.2, 0.2, 0.2, 0.2],  # of four the second: goes on then, and is the one behind
        [],  # diverges: it is one of four, and never goes on
        [0.4, 0.5, 0.6, 0.7],  # the best of every rung: goes on at once, to its end
    ]
    made = iter(promotion._Configuration({}, {}, curve) for curve in curves)
    monkeypatch.setattr(promotion, "_asked", lambda _spec, _trials: next(made))
    spec = small_spec(tmp_path, ("trials = 6", "trials = 5"))
    trials = Halving(reduction=2, first=1)(spec)
    ended = [(trial.state == TrialState.COMPLETE, trial.user_attrs["epochs"]) for trial in trials]
    assert ended == [(False, 1), (True, 4), (False, 2), (False, 1), (True, 4)]
    assert [trial.value for trial in trials if trial.value] == [0.3, 0.7]
    assert trials[2].intermediate_values == {1: 0.2, 2: 0.2}
