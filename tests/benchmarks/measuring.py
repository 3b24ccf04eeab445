"""Paired measurements: ours and the other in turn, so that both meet the same machine."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.benchmarks.results import Quantity

Measure = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Numbers measured in turn.

    Attributes:
        ours: in the order of measurement.
        other: the partner of each.
    """

    ours: Sequence[float]
    other: Sequence[float]

    def our_median(self, unit: str, scale: float = 1.0) -> Quantity:
        """The median of ours, times ``scale``."""
        return Quantity(value=scale * statistics.median(self.ours), unit=unit)

    def other_median(self, unit: str, scale: float = 1.0) -> Quantity:
        """The median of the other's, times ``scale``."""
        return Quantity(value=scale * statistics.median(self.other), unit=unit)

    @property
    def spread(self) -> str:
        """How much single pairs differ, in words."""
        ratios = sorted(ours / other for ours, other in zip(self.ours, self.other, strict=True))
        return (
            f"medians of {len(ratios)} pairs; ours to the other's in a pair: "
            f"{ratios[0]:.3g} to {ratios[-1]:.3g}, median {statistics.median(ratios):.3g}"
        )


def in_turn(ours: Measure, other: Measure, repeats: int) -> Pairs:
    """Measures A B A B ...; each function measures once and returns its number."""
    pairs = [(ours(), other()) for _ in range(repeats)]
    return Pairs(ours=[pair[0] for pair in pairs], other=[pair[1] for pair in pairs])
