"""What a split loses, in words."""

from dataclasses import asdict

from deeprec.data.overlap import Overlap
from deeprec.events.preparation import LEFT_OUT as REASONS
from search.analysis.splits import LEFT_OUT, lost_by_the_split
from tests.synthetic import interactions_of

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
