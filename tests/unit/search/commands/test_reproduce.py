"""What a reproduction says; the training itself is a flow test."""

from search.commands.reproduce import Comparison, verdict

SAME = Comparison("best_val_top_100_accuracy", 0.5, 0.5 + 1e-8)
OTHER = Comparison("best_val_top_100_accuracy", 0.5, 0.49)


def test_equal_numbers_are_reproduced() -> None:
    assert verdict([SAME], []) == "Reproduced: every number is the same."
    assert verdict([SAME], ["jax was 1, is 2"]) == "Reproduced: every number is the same."


def test_a_difference_is_explained_by_what_changed() -> None:
    assert verdict([SAME, OTHER], ["jax was 1, is 2"]) == (
        "NOT reproduced: numbers differ by up to 0.0100; since then jax was 1, is 2."
    )


def test_a_difference_without_a_change_is_not_blamed_on_what_is_the_same() -> None:
    assert "processor and number of threads are the same: this is another" in verdict([OTHER], [])
    assert "does not say on which processor" in verdict([OTHER], [], is_recorded=False)


def test_nothing_to_compare_is_no_success() -> None:
    assert verdict([], []).startswith("Nothing to compare")
