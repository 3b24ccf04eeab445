"""Where workers run: which flags go together."""

from typing import Any

import pytest

from search.config.reading import Placement
from search.records.errors import InputError


def test_workers_run_beside_the_search_where_nothing_is_said() -> None:
    assert Placement.of() == Placement()
    assert not any(Placement().flags.values())


def test_flags_of_a_cluster_come_out_as_they_went_in() -> None:
    given = Placement.of(cluster="10.0.0.1:6379", worker_cpus=2, worker_gpus=0.25)
    assert given.is_remote
    assert given.flags == {
        "--cluster": "10.0.0.1:6379",
        "--worker-cpus": 2,
        "--worker-gpus": "0.25",
        "--gpus": None,
        "--per-gpu": None,
    }
    assert not Placement.of(cluster="local").is_remote


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"worker_cpus": 2}, "--worker-cpus and --worker-gpus are for --cluster"),
        ({"cluster": "local", "gpus": "0"}, "--gpus names cards of this machine"),
        ({"per_gpu": 2}, "--per-gpu must come with --gpus"),
        ({"cluster": "local", "worker_gpus": 1.5}, "a share of a card, such as 0.25, or whole"),
        ({"cluster": "local", "worker_gpus": -1.0}, "but got -1"),
        ({"gpus": "0,0"}, "--gpus must name different cards, such as 0,1, but got '0,0'"),
        ({"gpus": "0,"}, "--gpus must name different cards"),
    ],
    ids=str,
)
def test_flags_that_do_not_go_together_are_refused(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Placement.of(**flags)
