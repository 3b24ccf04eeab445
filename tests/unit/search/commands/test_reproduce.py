"""What a reproduction says; the training itself is a flow test."""

from search.commands.reproduce import Comparison, verdict

SAME = Comparison("best_val_top_100_accuracy", 0.5, 0.5 + 1e-8)
OTHER = Comparison("best_val_top_100_accuracy", 0.5, 0.49)


def test_what_a_reproduction_says() -> None:
    assert verdict([SAME], ["jax was 1, is 2"]) == "Reproduced: every number is the same."
    assert verdict([SAME, OTHER], ["jax was 1, is 2"]) == (
        "NOT reproduced: numbers differ by up to 0.0100; since then jax was 1, is 2."
    )
    assert "processor and number of threads are the same: this is another" in verdict([OTHER], [])
    assert "does not say on which processor" in verdict([OTHER], [], is_recorded=False)
    assert verdict([], []).startswith("Nothing to compare")
