"""What a confirmation found, in numbers, tables and words."""

import io
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from search.analysis.noise import Sample
from search.confirmation.comparison import (
    Confirmation,
    ranked,
    results_table,
    validation_table,
    verdict,
)
from search.confirmation.comparison import test_samples as samples_of
from search.confirmation.measuring import Contender, tutorial_contender
from search.records.results import ReferenceRecord, RetrainRecord, UserResults
from tests.unit.search.sample_records import trial

TUTORIAL = tutorial_contender()


def contender(number: int, value: float) -> Contender:
    return Contender(
        key=f"trial-{number:04d}",
        name=f"trial {number} (64, 32)",
        model=TUTORIAL.model,
        training=TUTORIAL.training,
        trial=trial(number, value=value, best_epoch=30),
    )


RUN = RetrainRecord(trial=1, parameters={}, epochs=30, seed=0, metrics={}, started_ms=0, ended_ms=1)


def runs_of(*accuracies: float) -> tuple[tuple[RetrainRecord, None], ...]:
    def run(seed: int, accuracy: float) -> RetrainRecord:
        metrics = {"top_100_accuracy": accuracy, "top_100_accuracy_unseen": accuracy + 0.1}
        metrics |= {"recall_at_10": 0.2, "ndcg_at_10": 0.15}
        return replace(RUN, seed=seed, metrics={f"test_{name}": metrics[name] for name in metrics})

    return tuple((run(*each), None) for each in enumerate(accuracies))


def references_of(metrics: Mapping[str, Mapping[str, float]]) -> tuple[ReferenceRecord, ...]:
    return tuple(
        ReferenceRecord(name=name, parameters={}, metrics=each, measured_ms=1)
        for name, each in metrics.items()
    )


METRICS = {
    "popularity": {"test_top_100_accuracy": 0.46, "test_top_100_accuracy_unseen": 0.55},
    "damped_mean": {"test_top_100_accuracy": 0.3, "test_top_100_accuracy_unseen": 0.4},
}
REFERENCES = references_of(METRICS)

CONFIRMATION = Confirmation(
    validated=(
        (contender(0, 0.62), Sample.of([0.58, 0.582, 0.584])),
        (contender(1, 0.61), Sample.of([0.590, 0.592, 0.594])),
        (TUTORIAL, Sample.of([0.32, 0.33, 0.34])),
    ),
    tested=runs_of(0.60, 0.602, 0.604),
    references=REFERENCES,
)


def shown(*parts: object) -> str:
    console = Console(file=io.StringIO(), width=100)
    for part in parts:
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_winner_has_the_highest_mean_and_of_equals_the_favorite_wins() -> None:
    assert CONFIRMATION.winner.key == "trial-0001"
    assert [pair[0].key for pair in CONFIRMATION.ranked] == ["trial-0001", "trial-0000"]
    assert CONFIRMATION.value_of_search == 0.61
    same = Sample.of([0.5, 0.6])
    pairs = ((contender(0, 0.7), same), (contender(1, 0.6), same))
    assert ranked(pairs)[0][0].key == "trial-0000"


def test_metrics_are_means_and_deviations_over_the_seeds() -> None:
    metrics = CONFIRMATION.metrics
    assert metrics["test_top_100_accuracy_mean"] == pytest.approx(0.602)
    assert metrics["test_top_100_accuracy_std"] == pytest.approx(0.002)
    assert metrics["val_top_100_accuracy_mean"] == pytest.approx(0.592)
    assert metrics["tutorial_val_top_100_accuracy_mean"] == pytest.approx(0.33)
    assert metrics["search_minus_validation"] == pytest.approx(0.018)
    assert metrics["search_minus_test"] == pytest.approx(0.008)
    assert metrics["popularity_test_top_100_accuracy"] == 0.46


def test_tables_show_contenders_and_references() -> None:
    text = shown(validation_table(CONFIRMATION.validated), results_table(CONFIRMATION))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "trial 1 (64, 32) 0.6100 30 0.5920 ± 0.0020" in lines
    assert "the tutorial's (32,) 30 0.3300 ± 0.0100" in lines
    winner = "trial 1 0.6020 ± 0.0020 0.7020 ± 0.0020 0.2000 ± 0.0000 0.1500 ± 0.0000"
    assert winner in lines
    assert "damped mean 0.3000 0.4000" in lines


def test_the_verdict_compares_by_the_noise() -> None:
    words = verdict(CONFIRMATION)
    # four degrees of freedom: t(0.975, 4) = 2.7764; times 0.002 * sqrt(2 / 3)
    assert words[0] == (
        "trial 1 (64, 32) beats trial 0 (64, 32) by more than the noise: +0.0100, 95 % interval "
        "+0.0055 to +0.0145."
    )
    assert words[1].startswith("trial 1 (64, 32) beats the tutorial's (32,) by more than the noise")
    assert words[2] == "On the test rows it beats every reference by more than the noise."
    # two degrees of freedom: t(0.975, 2) = 4.3027; times 0.002 * sqrt(1 / 3)
    assert words[3] == (
        "Against popularity, the best of them: +0.1420, 95 % interval +0.1370 to +0.1470."
    )
    assert words[4] == "Of 2 comparisons, p values are corrected as Holm (1979) does."
    assert words[5] == "What would move the test: another seed by ±0.0020."
    assert "The search saw 0.6100" in words[6]


def test_what_needs_no_search_and_is_better_is_named_with_what_it_knows() -> None:
    tested = tuple(
        (replace(RUN, seed=seed, metrics={"test_ndcg_at_10": value}), None)
        for seed, value in enumerate((0.26, 0.27, 0.28))
    )
    of_shop = replace(
        CONFIRMATION,
        tested=tested,
        references=references_of(
            {
                "popularity": {"test_ndcg_at_10": 0.18},
                "own_frequent": {"test_ndcg_at_10": 0.41},
            }
        ),
        objectives=("val_ndcg_at_10",),
    )
    words = verdict(of_shop)
    assert "On the test rows it does not beat own history by more than the noise." in words
    assert any(
        said.startswith("own history (0.4100) is better than it by more than the noise; embeddings")
        for said in words
    )
    assert not [said for said in words if "popularity" in said]


def test_a_close_call_is_called_one() -> None:
    close = Confirmation(
        validated=(
            (contender(0, 0.62), Sample.of([0.58, 0.60])),
            (contender(1, 0.61), Sample.of([0.57, 0.60])),
            (TUTORIAL, Sample.of([0.32, 0.33])),
        ),
        tested=runs_of(0.44, 0.45, 0.46),
        references=REFERENCES,
    )
    words = verdict(close)
    assert "and trial 1 (64, 32) cannot be told apart: +0.0050, 95 % interval -0.0" in words[0]
    assert words[2] == (
        "On the test rows it does not beat popularity by more than the noise, seen movies ranked "
        "too or seen movies left out."
    )


def test_a_model_that_recommends_the_same_to_all_is_said_to() -> None:
    same = {"test_top_20_share_at_10": 0.98, "test_personalization_gain": 0.0023}
    tested = tuple(
        (replace(record, metrics={**record.metrics, **same}), towers)
        for record, towers in CONFIRMATION.tested
    )
    assert verdict(replace(CONFIRMATION, tested=tested))[6] == (
        "It recommends nearly the same to all users: 20 movies fill 98% of all top tens, and "
        "personal lists add +0.0023 to the accuracy of one list for all."
    )


def test_metrics_that_one_version_lacks_are_left_out() -> None:
    old, new = (record for record, _ in runs_of(0.60, 0.602))
    later = replace(new, metrics={**new.metrics, "test_coverage_at_10": 0.2})
    assert set(samples_of([later, old])) == set(old.metrics)


def test_a_reference_that_is_better_is_named_so() -> None:
    confirmation = replace(
        CONFIRMATION,
        validated=(
            (contender(0, 0.62), Sample.of([0.30, 0.302, 0.304])),
            (TUTORIAL, Sample.of([0.32, 0.322, 0.324])),
        ),
    )
    assert verdict(confirmation)[0] == (
        "trial 0 (64, 32) is below the tutorial's (32,) by more than the noise: -0.0200, 95 % "
        "interval -0.0245 to -0.0155."
    )


def test_references_are_judged_by_the_metric_they_were_tuned_for() -> None:
    ease = {"test_top_100_accuracy": 0.61, "test_top_100_accuracy_unseen": 0.65}
    confirmation = replace(CONFIRMATION, references=references_of({**METRICS, "ease": ease}))
    assert confirmation.not_beaten == {
        "test_top_100_accuracy": ["ease"],
        "test_top_100_accuracy_unseen": [],
    }
    assert verdict(confirmation)[2:4] == [
        "On the test rows it does not beat EASE by more than the noise, seen movies ranked too.",
        "On the test rows it beats every reference by more than the noise, seen movies left out.",
    ]


def test_a_configuration_that_collapses_with_one_seed_never_wins() -> None:
    validated = (
        (contender(0, 0.62), Sample.of([0.61, None, 0.62])),
        (contender(1, 0.61), Sample.of([0.59, 0.58, 0.57])),
        (TUTORIAL, Sample.of([0.32, 0.33, 0.34])),
    )
    confirmation = replace(CONFIRMATION, validated=validated)
    assert confirmation.winner.key == "trial-0001"
    assert verdict(confirmation)[1] == (
        "trial 0 (64, 32) is unstable: 1 of 3 trainings diverged or ended no better than chance."
    )


def test_a_test_that_collapses_is_told_and_is_no_noise() -> None:
    records = [record for record, _ in runs_of(0.60, 0.602, 0.604)]
    records[1] = replace(records[1], metrics={}, collapsed="train_loss is 1e+14 at epoch 1")
    confirmation = replace(CONFIRMATION, tested=tuple((record, None) for record in records))
    assert confirmation.test["test_top_100_accuracy"].values == (0.60, 0.604)
    assert "trial 1 (64, 32) is unstable: 1 of 3 trainings for the test" in verdict(confirmation)[2]
    assert "0.6020 ± 0.0028" in shown(results_table(confirmation))
    gone = replace(confirmation, tested=((records[1], None),))
    assert "collapsed" in shown(results_table(gone))
    assert len(verdict(gone)) == 3


def by_user(*totals: float) -> str:
    return UserResults(np.array(totals), np.ones(len(totals))).text


def test_what_hangs_on_few_users_is_no_better_whatever_the_seeds_say() -> None:
    """Twenty users, of whom one makes the whole difference: other samples may lack that user."""
    winner, reference = by_user(*[0.5] * 19, 1.0), by_user(*[0.5] * 19, 0.0)
    metrics = {"test_ndcg_at_10": 0.525}
    records = [replace(RUN, metrics=metrics, users={"test_ndcg_at_10": winner})] * 5
    other = ReferenceRecord(
        name="popularity",
        parameters={},
        metrics={"test_ndcg_at_10": 0.475},
        users={"test_ndcg_at_10": reference},
        measured_ms=1,
    )
    by_seeds = replace(
        CONFIRMATION,
        objectives=("val_ndcg_at_10",),
        tested=tuple((record, None) for record in records),
        references=(replace(other, users={}),),
    )
    assert by_seeds.not_beaten == {"test_ndcg_at_10": []}
    by_both = replace(by_seeds, references=(other,))
    assert by_both.not_beaten == {"test_ndcg_at_10": ["popularity"]}
    [found] = [each for each in by_both.differences if each["against"] == "popularity"]
    assert (found["users_above"], found["users_below"]) == (0.05, 0.0)
    assert found["over_users"] == pytest.approx(0.05, rel=0.05)  # sqrt(19 / 20) / 20, n - 1
    assert "other users ± 0.0250" in " ".join(shown(results_table(by_both)).split())


def test_one_seed_decides_nothing() -> None:
    single = Confirmation(
        validated=((contender(0, 0.62), Sample.of([0.6])), (TUTORIAL, Sample.of([0.3]))),
        tested=runs_of(0.6),
        references=REFERENCES,
    )
    assert "with one seed each, that cannot be told from noise" in verdict(single)[0]
    assert "test_top_100_accuracy_std" not in single.metrics
