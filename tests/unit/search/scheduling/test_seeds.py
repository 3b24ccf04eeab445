"""Seeds: one origin, independent purposes."""

from hypothesis import given
from hypothesis import strategies as st

from search.scheduling.seeds import SEED_BOUND, derive_seed

PURPOSES = st.lists(st.one_of(st.integers(0, 10_000), st.text(max_size=10)), max_size=4)


@given(st.integers(), PURPOSES)
def test_a_seed_is_in_bounds_and_always_the_same(study_seed: int, purpose: list[int | str]) -> None:
    seed = derive_seed(study_seed, *purpose)
    assert 0 <= seed < SEED_BOUND
    assert seed == derive_seed(study_seed, *purpose)


def test_a_seed_is_the_same_everywhere_and_other_for_other_purposes() -> None:
    assert derive_seed(0, "sampler", 7) == 1145508931
    purposes = [(), (7, "sampler"), ("sampler", "7"), ("sampler7",), ("weights", 7)]
    seeds = {derive_seed(0, *purpose) for purpose in purposes}
    seeds |= {derive_seed(study, "sampler", trial) for study in range(10) for trial in range(1000)}
    assert len(seeds) == len(purposes) + 10_000
