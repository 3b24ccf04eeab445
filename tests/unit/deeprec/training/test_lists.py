"""Lists of the best items: made on the device, judged by metrics that are worked out by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from deeprec.config import Metric
from deeprec.data.tables import Interactions
from deeprec.training import lists
from deeprec.training.lists import Asked, best_lists, by_user, measured

ITEMS = 8
SCORES = np.array(
    [
        [9, 9, 7, 6, 5, 4, 3, 2],  # user 2: items 2, 3, 4, ... after the two reserved rows
        [9, 9, 1, 1, 1, 1, 1, 1],  # user 3: all alike, so the lower row comes first
        [9, 9, 1, 2, 3, 4, 5, 6],  # user 4: items 7, 6, 5, ...
    ],
    np.float32,
)


def rows(*triples: tuple[int, int, bool]) -> Interactions:
    users, items, relevant = (np.array(column) for column in zip(*triples, strict=True))
    ones = np.ones(len(users), np.float32)
    return Interactions(
        users.astype(np.int32), items.astype(np.int32), ones, np.zeros(len(users), int), relevant
    )


EVALUATED = rows(
    *[(2, 2, True), (2, 4, True), (2, 4, True), (2, 5, False), (3, 7, True), (4, 7, True)],
    *[(4, 2, True), (5, 3, False)],
)
KNOWN = rows((2, 3, True), (4, 7, True), (3, 2, True))


def listed(asked: Asked, k: int) -> list[list[int]]:
    def score(block: slice) -> jnp.ndarray:
        scores = np.zeros((asked.block, ITEMS), np.float32)
        scores[: block.stop - block.start] = SCORES[asked.users[block] - 2]
        return jnp.asarray(scores)

    found, finite = best_lists(score, asked, k)
    assert finite
    return found.tolist()


def test_what_is_known_is_not_listed_and_does_not_count() -> None:
    asked = Asked.of(EVALUATED, KNOWN, ITEMS, reserved=2)
    assert asked.users.tolist() == [2, 3, 4], "user 5 likes nothing"
    assert asked.counts.tolist() == [2, 1, 1], "item 4 counts once, and item 7 is known to user 4"
    assert listed(asked, 3) == [[2, 4, 5], [3, 4, 5], [6, 5, 4]]


def test_where_people_buy_again_everything_is_listed() -> None:
    asked = Asked.of(EVALUATED, KNOWN, ITEMS, reserved=2, repeats=True)
    assert asked.counts.tolist() == [2, 1, 2]
    assert listed(asked, 3) == [[2, 3, 4], [2, 3, 4], [7, 6, 5]]


@pytest.mark.parametrize("scores_in_a_block", [ITEMS, 2 * ITEMS, 100 * ITEMS])
def test_lists_do_not_depend_on_blocks(
    scores_in_a_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "SCORES_IN_A_BLOCK", scores_in_a_block)
    asked = Asked.of(EVALUATED, KNOWN, ITEMS, reserved=2)
    assert listed(asked, 4) == [[2, 4, 5, 6], [3, 4, 5, 6], [6, 5, 4, 3]]


def test_places_that_nothing_is_left_for_are_empty() -> None:
    asked = Asked.of(EVALUATED, KNOWN, ITEMS, reserved=2)
    assert listed(asked, 7)[0] == [2, 4, 5, 6, 7, 0, 0]


HITS = np.array([[True, False, True], [False, False, False], [False, True, False]])
COUNTS = np.array([3, 1, 1])


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("recall@3", [2 / 3, 0, 1]),
        ("recall@2", [1 / 2, 0, 1]),  # of as many as two places could hold
        ("precision@3", [2 / 3, 0, 1 / 3]),
        ("hit@1", [1, 0, 0]),
        ("hit@2", [1, 0, 1]),
        ("mrr@3", [1, 0, 1 / 2]),
        ("map@3", [(1 + 2 / 3) / 3, 0, 1 / 2]),
        ("ndcg@3", [(1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2), 0, 1 / np.log2(3)]),
        ("top_accuracy@2", [1 / 3, 0, 1]),  # of all that is liked
    ],
)
def test_metrics_of_users_are_worked_out_by_hand(metric: str, values: list[float]) -> None:
    assert by_user(Metric.of(metric), HITS, COUNTS) == pytest.approx(values)


def test_metrics_are_means_over_users_and_coverage_is_of_all_items() -> None:
    asked = Asked.of(EVALUATED, KNOWN, ITEMS, reserved=2)
    found = np.array(listed(asked, 3), np.int32)
    metrics = [Metric.of(text) for text in ("recall@3", "ndcg@1", "coverage@3", "coverage@1")]
    assert measured(found, asked, metrics) == {
        "recall_at_3": pytest.approx((2 / 2 + 0 + 0) / 3),
        "ndcg_at_1": pytest.approx(1 / 3),
        "coverage_at_3": 5 / 6,
        "coverage_at_1": 3 / 6,
    }


def test_where_nothing_is_liked_every_metric_is_zero() -> None:
    asked = Asked.of(rows((2, 3, False)), KNOWN, ITEMS)
    assert measured(np.zeros((0, 3), np.int32), asked, [Metric.of("ndcg@3")]) == {"ndcg_at_3": 0.0}


@pytest.mark.parametrize("text", ["ndcg", "ndcg@0", "ndcg@x", "auc@10", "ndcg@100000", ""])
def test_what_names_no_metric_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be one of recall@k, hit@k, .* but got"):
        Metric.of(text)


def test_names_say_k() -> None:
    assert Metric.of("ndcg@5").key == "ndcg_at_5"
    assert Metric.of("top_accuracy@7").key == "top_7_accuracy"
    assert str(Metric.of("map@20")) == "map@20"
