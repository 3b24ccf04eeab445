"""What of the evaluated rows training does not know, counted by hand."""

from deeprec.data.overlap import Overlap
from tests.synthetic import interactions_of


def test_users_and_items_without_a_row_to_learn_from_are_counted() -> None:
    known = interactions_of((1, 1, 1.0), (1, 2, 0.5), (2, 2, 1.0))
    rows = interactions_of((1, 1, 1.0), (3, 1, 0.5), (3, 9, 1.0), (4, 2, 0.0))
    assert Overlap.of(rows, known) == Overlap(
        rows=4,
        users=3,
        unknown_users=2,  # 3 and 4
        rows_of_unknown_users=3,
        items=3,
        unknown_items=1,  # 9
        rows_of_unknown_items=1,
    )
