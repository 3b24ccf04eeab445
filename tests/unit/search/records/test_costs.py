"""Costs against limits, by hand."""

import pytest

from search.records.costs import breach, excesses

LIMITS = {"parameters": 2_000, "megabytes": 8.0, "milliseconds": 5.0}
WITHIN = {"parameters": 2_000, "megabytes": 7.99, "milliseconds": 1.0}


@pytest.mark.parametrize(
    ("costs", "is_whole", "said"),
    [
        (WITHIN, True, None),  # a limit itself is kept
        (WITHIN | {"parameters": 2_001}, True, "2,001 parameters (limit 2,000)"),
        (
            WITHIN | {"megabytes": 9.3124, "milliseconds": 6.0},
            True,
            "9.312 MB (limit 8), 6 ms (limit 5)",
        ),
        ({"parameters": 3_000}, False, "3,000 parameters (limit 2,000)"),
        ({"parameters": 1_000}, False, None),  # pruned before the others were measured
        (
            {"parameters": 1_000, "megabytes": 1.0},
            True,
            "milliseconds not measured (limit 5)",
        ),
    ],
)
def test_a_broken_limit_is_named_with_what_was_measured(
    costs: dict[str, float], is_whole: bool, said: str | None
) -> None:
    assert breach(costs, LIMITS, is_whole=is_whole) == said
    assert breach(costs, {}, is_whole=is_whole) is None


def test_an_excess_is_a_share_of_its_limit_so_that_all_costs_weigh_alike() -> None:
    costs = {"parameters": 3_000, "megabytes": 4.0, "bytes": 1.0}
    assert excesses(costs, LIMITS) == {"parameters": 0.5, "megabytes": -0.5}
