"""Metrics of lists against trec_eval, on random rankings of random judgments.

trec_eval divides by all relevant items where recall and average precision here divide by as many as
k places could hold, so that a perfect list has 1: theirs is ours times ``min(k, relevant) /
relevant``. It cuts no reciprocal rank, so it is given the first k places alone.
"""

from typing import Any

import numpy as np
import pytest
import pytrec_eval

from deeprec.config import Metric
from deeprec.training.lists import Asked, by_user, measured
from tests.unit.deeprec.training.test_lists import rows

USERS, ITEMS, MOST = 40, 60, 50  # the first item is reserved
NAMES = {
    "recall": "recall",
    "precision": "P",
    "hit": "success",
    "ndcg": "ndcg_cut",
    "map": "map_cut",
    "mrr": "recip_rank",
}


@pytest.fixture(scope="module")
def ranked() -> tuple[Asked, np.ndarray, dict[str, Any]]:
    """Judgments, 1 to 25 relevant items a user, and random lists; the judgments for trec_eval."""
    rng = np.random.default_rng(0)
    lists = np.array([rng.permutation(np.arange(1, ITEMS))[:MOST] for _ in range(USERS)])
    relevant = [rng.choice(np.arange(1, ITEMS), rng.integers(1, 26), False) for _ in range(USERS)]
    asked = Asked.of(
        rows(*[(user, int(item), True) for user, own in enumerate(relevant) for item in own]),
        rows((0, 1, True)),
        ITEMS,
        repeats=True,
    )
    judged = {str(user): {str(item): 1 for item in own} for user, own in enumerate(relevant)}
    return asked, lists.astype(np.int32), judged


@pytest.mark.parametrize("k", [1, 5, 10, 50])
@pytest.mark.parametrize("name", NAMES)
def test_every_metric_of_users_is_trec_evals(name: str, k: int, ranked: Any) -> None:
    asked, lists, judged = ranked
    metric, theirs = Metric.of(f"{name}@{k}"), NAMES[name]
    cut = "" if name == "mrr" else f".{k}"
    places = {
        str(user): {str(item): float(MOST - rank) for rank, item in enumerate(own[:k])}
        for user, own in enumerate(lists)
    }
    found = pytrec_eval.RelevanceEvaluator(judged, {theirs + cut}).evaluate(places)
    values = [found[str(user)][theirs + cut.replace(".", "_")] for user in range(USERS)]
    ours = by_user(metric, asked.hits(lists), asked.counts)
    if name in ("recall", "map"):
        ours = ours * np.minimum(k, asked.counts) / asked.counts
    else:
        assert measured(lists, asked, [metric])[metric.key] == pytest.approx(np.mean(values))
    assert ours == pytest.approx(values)
    assert 0 < np.mean(values) < 1, "rankings that find all or nothing would compare nothing"
