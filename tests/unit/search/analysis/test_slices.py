"""Where a model loses, and what a split loses, in words: no slice of a few users is judged."""

from dataclasses import asdict

from deeprec.data.overlap import Overlap
from deeprec.events.preparation import LEFT_OUT as REASONS
from search.analysis.noise import Difference, Sample
from search.analysis.slices import (
    LEFT_OUT,
    SliceResult,
    lost_by_the_split,
    slice_results,
    where_it_loses,
)
from search.records.results import ReferenceRecord
from tests.synthetic import interactions_of

TEST = {
    "test_ndcg_at_10": Sample((0.30, 0.32)),
    "test_ndcg_at_10_unknown_users": Sample((0.110, 0.111)),
    "test_ndcg_at_10_region:north": Sample((0.40, 0.42)),
    "test_recall_at_10": Sample((0.5, 0.5)),
}
METRICS = {
    "popularity": {"test_ndcg_at_10_unknown_users": 0.15, "test_ndcg_at_10_region:north": 0.2},
    "ease": {"test_ndcg_at_10_unknown_users": 0.12, "test_ndcg_at_10_region:north": 0.42},
    "ease_unseen": {"test_ndcg_at_10_unknown_users": 0.9},  # its penalty is for another metric
}
REFERENCES = [
    ReferenceRecord(name=name, parameters={}, metrics=metrics, measured_ms=1)
    for name, metrics in METRICS.items()
]


def of(users: dict[str, int]) -> list[SliceResult]:
    return slice_results("test_ndcg_at_10", TEST, REFERENCES, users)


def test_slices_are_those_of_the_objective_with_what_the_references_have() -> None:
    unknown, north = of({"unknown_users": 200, "region:north": 30})
    assert (unknown.words, unknown.users, unknown.better) == ("unknown users", 200, "popularity")
    assert unknown.references == {"popularity": 0.15, "ease": 0.12}
    assert unknown.difference is not None
    assert unknown.difference.comparisons == 4, "two references of two slices"
    assert (north.words, north.best, north.better) == ("region north", "ease", None)


def test_the_best_reference_of_each_lost_slice_is_named() -> None:
    assert where_it_loses(of({"unknown_users": 200, "region:north": 30})) == [
        "By parts of the test rows a reference is better than it by more than the noise on unknown "
        "users (popularity, by 0.0395, 200 users)."
    ]


def test_of_a_few_users_it_is_said_that_nothing_can_be_said() -> None:
    small = of({"unknown_users": 29, "region:north": 30})
    assert small[0].better is None
    assert where_it_loses(small) == ["Too few users to say anything of: unknown users (29)."]


def test_what_an_earlier_version_did_not_count_is_not_judged() -> None:
    assert where_it_loses(of({})) == []


def test_the_largest_losses_are_named_and_the_others_counted() -> None:
    many = [
        SliceResult(
            name=f"region:{number}",
            users=50,
            winner=Sample((0.2,)),
            references={"popularity": 0.2 + number / 100},
            difference=Difference(mean=-number / 100, interval=None, p=0.01 if number else 1.0),
        )
        for number in range(6)
    ]
    [said] = where_it_loses(many)
    assert "by more than the noise on region 5 (popularity, by 0.0500, 50 users)" in said
    assert "region 3" in said
    assert "region 2" not in said
    assert said.endswith(", and on 2 more.")


KNOWN = interactions_of((1, 1, 1.0))
NEW_USER = interactions_of((1, 1, 1.0), (2, 1, 1.0), (2, 1, 1.0), (2, 1, 1.0))
NEW_ITEM = interactions_of((1, 1, 1.0), (1, 2, 1.0))


def test_what_training_does_not_know_is_said_of_either_part() -> None:
    counts = {
        "validation": asdict(Overlap.of(NEW_USER, KNOWN)),
        "test": asdict(Overlap.of(NEW_USER.followed_by(NEW_ITEM), KNOWN)),
    }
    assert lost_by_the_split(counts) == [
        "Training does not know 1 of 2 users (75.0% of the rows) of validation and 1 of 2 users "
        "(50.0% of the rows) and 1 of 2 items (16.7% of the rows) of test."
    ]
    [most] = lost_by_the_split(counts, least=0.2)
    assert most.endswith("and 1 of 2 users (50.0% of the rows) of test.")


def test_rows_in_no_part_are_counted_by_reason() -> None:
    counts = {"left_out": {"label": 0, "unknown": 2, "duplicates": 1500, "core": 0}}
    assert lost_by_the_split(counts) == [
        "Rows of the log left out: 2 whose user or item is in no table and 1,500 that repeat a "
        "user's item."
    ]
    assert set(LEFT_OUT) == set(REASONS)


def test_nothing_is_said_where_nothing_is_lost_or_known() -> None:
    assert lost_by_the_split({}) == []
    known = asdict(Overlap.of(KNOWN, KNOWN))
    assert lost_by_the_split({"validation": known, "test": known}) == []
