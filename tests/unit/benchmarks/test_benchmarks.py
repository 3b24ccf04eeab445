"""What rows share, the studies that are compared, and the made-up ratings."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.config.reading import load_spec
from search.config.space import enqueued_configurations, parameters_of
from tests.benchmarks import harness
from tests.benchmarks.__main__ import main
from tests.benchmarks.data import fixed_configurations, study_file, tutorial_space
from tests.benchmarks.harness import MeasurementError, Pairs, Result, in_turn
from tests.benchmarks.plain_harness import trial_parameters
from tests.benchmarks.ratings import LEAST_RATINGS, Size, make_movies, make_ratings, make_users


@pytest.mark.parametrize(
    ("values", "target", "verdict"),
    [
        ({"ours": 1.1, "against": 1, "at_most": 1.15}, "at most 1.15 times", "met"),
        ({"ours": 2.3, "against": 1, "at_most": 1.15}, "at most 1.15 times", "missed by 100%"),
        ({"ours": 4, "against": 20, "at_least": 6}, "at least 6 times", "missed by 17%"),
        ({"ours": 2, "against": 1, "at_least": 1.4, "is_rate": True}, "at least 1.4 times", "met"),
        ({"ours": 6.3, "at_most": 6}, "at most 6 s", "missed by 5%"),
        ({"ours": 40, "at_least": 30, "unit": "runs"}, "at least 30 runs", "met"),
        ({"ours": math.nan, "at_most": 6}, "at most 6 s", "missed by nan%"),
        ({"ours": 1, "against": 2}, "", ""),
        ({"failure": "no Chromium"}, "", "not measured: no Chromium"),
    ],
)
def test_the_ratio_or_number_is_judged(values: dict[str, Any], target: str, verdict: str) -> None:
    result = Result(what="it", **values)
    assert (result.target, result.verdict) == (target, verdict)


def test_ours_and_the_other_take_turns_and_one_slow_pair_moves_no_median() -> None:
    seconds = iter([1.0, 2.0, 1.0, 2.0, 9.0, 2.0])
    pairs = in_turn(seconds.__next__, seconds.__next__, 3)
    assert pairs == Pairs([1, 1, 9], [2, 2, 2])
    medians = pairs.medians(1000)
    assert (medians["ours"], medians["against"]) == (1000, 2000)
    assert medians["note"].endswith("0.5 to 4.5, median 0.5")


def test_a_row_that_fails_does_not_stop_the_others_and_an_unknown_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fake_call(function: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        if function == "step:measure":
            raise MeasurementError("no such | thing")
        return [{"what": "a trial", "ours": 2, "against": 18, "opponent": "fit", "note": "5 pairs"}]

    monkeypatch.setattr(harness, "call", fake_call)
    assert main(["trial", "step"]) == 1
    _, *table = capsys.readouterr().out.split("\n\n", 1)
    assert table == [
        "| what | ours | against | ratio | target | result |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| step |  |  |  |  | not measured: no such \\| thing |\n"
        "| a trial | 2 s | fit: 18 s | 9.00 |  |  |\n\na trial: 5 pairs\n"
    ]
    assert main(["step", "steps"]) == 2
    assert capsys.readouterr().err.endswith(" but got steps\n")


def test_an_error_in_the_process_is_said_by_its_last_line() -> None:
    with pytest.raises(MeasurementError, match=r"^ValueError: ratings must be at least one a user"):
        harness.call("ratings:Size", {"ratings": 3, "users": 10, "movies": 10})


def test_both_sides_of_the_study_row_train_the_same_configurations(tmp_path: Path) -> None:
    configurations = fixed_configurations(20)
    (tmp_path / "fixed.toml").write_text(study_file(configurations, epochs=30), encoding="utf-8")
    spec = load_spec("fixed", folders=(tmp_path,))
    assert list(enqueued_configurations(spec).values()) == configurations
    assert (spec.space, spec.study.trials, spec.pruner.name) == (tutorial_space(), 20, "none")
    assert (spec.training.epochs, spec.training.validate_every) == (30, 5)
    for configuration in configurations:
        ours = parameters_of(configuration)
        plain = trial_parameters({"layer_sizes": configuration.layer_sizes, **configuration.values})
        for name in ("depth", "embedding_dimension_log2", "learning_rate"):
            assert plain[name] == ours[name]


def test_ratings_are_as_many_as_asked_for_no_pair_twice_with_long_tails() -> None:
    size = Size(ratings=60_000, users=1_000, movies=800)
    rows, again = make_ratings(size), make_ratings(size)
    np.testing.assert_array_equal(rows.movie_id, again.movie_id)
    assert len(np.unique(rows.user_id.astype(np.int64) * 10_000 + rows.movie_id)) == size.ratings
    of_users, of_movies = np.bincount(rows.user_id), np.bincount(rows.movie_id)
    assert len(of_users) <= make_users(size).rows
    assert len(of_movies) <= make_movies(size).rows
    assert (of_users[0], of_movies[0]) == (0, 0)
    assert of_users[1:].min() >= LEAST_RATINGS
    assert 5 * np.median(of_users) < of_users.max() <= size.movies // 3
    assert np.sort(of_movies)[-80:].sum() > 0.4 * size.ratings
    assert set(np.unique(rows.rating)) == {0.0, 0.25, 0.5, 0.75, 1.0}
