"""The model of recorded curves that races are run on."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from tests.experiments import recorded
from tests.experiments.races import Trialed, chosen, epochs_of, within
from tests.experiments.recorded import Recorded, distinct, read
from tests.experiments.surrogate import Surrogate, seed_noises

EPOCHS = np.arange(1, 7)


def made_up(rate: float, width: int, seed: int, noise: float = 0.0) -> Recorded:
    """Rises faster with a higher rate, to a height that depends on both; diverges above 0.5."""
    height = 0.5 - 0.05 * (np.log10(rate) + 2) ** 2 + 0.02 * width
    curve = height * (1 - np.exp(-EPOCHS * np.sqrt(rate) * 10)) + noise
    parameters = {"output_width_log2": width, "learning_rate": rate}
    return Recorded(parameters, seed, tuple(curve), rate > 0.5, 1.0)


@pytest.fixture(scope="module")
def recordings() -> list[Recorded]:
    rng = np.random.default_rng(0)
    drawn = [(10 ** rng.uniform(-4, 0), int(rng.integers(1, 6))) for _ in range(60)]
    first = [made_up(rate, width, 1) for rate, width in drawn]
    return [*first, *(made_up(*drawn[place], 2, noise=0.01) for place in range(8))]


def test_unseen_configurations_are_ranked_and_what_diverges_is_worth_nothing(
    recordings: list[Recorded],
) -> None:
    surrogate = Surrogate(recordings)
    unseen = [made_up(rate, width, 1) for rate in (2e-4, 3e-3, 2e-2, 0.2) for width in (1, 3, 5)]
    worth = surrogate.worth([each.parameters for each in unseen])
    assert spearmanr(worth, [each.best for each in unseen])[0] > 0.95
    assert surrogate.worth([made_up(0.9, 3, 1).parameters]) == [0]


def test_seeds_differ_by_half_the_variance_of_a_pair(recordings: list[Recorded]) -> None:
    healthy = [each for each in recordings[60:] if not each.diverged]
    noises = seed_noises(recordings)
    assert noises == pytest.approx(np.full((len(healthy), 6), 0.01 / np.sqrt(2)))
    surrogate, parameters = Surrogate(recordings), recordings[0].parameters
    drawn = {seed: surrogate.drawn(parameters, seed) for seed in range(20)}
    assert np.array_equal(drawn[0], surrogate.drawn(parameters, 0))
    middle = surrogate.curves([parameters])[0]
    noise = {round(float(value), 6) for curve in drawn.values() for value in curve - middle}
    assert noise == {round(0.01 / 2**0.5, 6), -round(0.01 / 2**0.5, 6)}


def test_lines_are_read_as_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recordings: list[Recorded]
) -> None:
    monkeypatch.setattr(recorded, "FOLDER", tmp_path)
    assert read("made-up") == []
    (tmp_path / "made-up.jsonl").write_text("\n".join(map(Recorded.to_json, recordings)) + "\n")
    found = read("made-up")
    assert [each.best for each in found] == pytest.approx(
        [each.best for each in recordings], abs=1e-5
    )
    assert len(distinct(found)) == 60


def test_a_search_names_the_complete_trial_with_the_highest_value() -> None:
    trials = [
        Trialed(value=0.5, worth=0.3, epochs=10, is_complete=True),
        Trialed(value=0.9, worth=0.9, epochs=5, is_complete=False),
        Trialed(value=0.4, worth=0.6, epochs=10, is_complete=True),
    ]
    assert chosen(trials) == 0.3
    assert chosen(trials[1:2]) == 0
    assert epochs_of(trials) == 25
    assert within(trials, 24) == trials[:2]
    assert within(trials, 25) == trials
