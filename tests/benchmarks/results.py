"""One line of the table: what was measured, against what, and whether it meets its target."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A number with its unit."""

    value: float
    unit: str

    def __str__(self) -> str:
        return f"{_three_digits(self.value)} {self.unit}"


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the judged number must reach.

    Attributes:
        bound: the worst number that still meets it.
        direction: on which side of the bound it is met, the bound included.
    """

    bound: float
    direction: Literal["at most", "at least"]

    def is_met_by(self, value: float) -> bool:
        """Whether the number is as good as the bound; NaN never is."""
        return value <= self.bound if self.direction == "at most" else value >= self.bound


@dataclass(frozen=True, kw_only=True)
class Result:
    """One line of the table.

    Attributes:
        what: what was measured.
        ours: how we do.
        against: how the other does, if there is one.
        opponent: who the other is.
        ratio: ours to the other's, so that the target can be judged; None without another.
        target: for the ratio, or for our number where there is no other; None: information.
        note: what a reader should know, such as the spread.
    """

    what: str
    ours: Quantity
    against: Quantity | None = None
    opponent: str = ""
    ratio: float | None = None
    target: Target | None = None
    note: str = ""

    @classmethod
    def as_fast_as(
        cls, what: str, ours: Quantity, against: Quantity, *, at_most: float, **details: str
    ) -> Self:
        """Our time may be at most so many times the other's."""
        target = Target(bound=at_most, direction="at most")
        ratio = ours.value / against.value
        return cls(what=what, ours=ours, against=against, ratio=ratio, target=target, **details)

    @classmethod
    def times_faster(
        cls, what: str, ours: Quantity, against: Quantity, *, at_least: float | None, **details: str
    ) -> Self:
        """The other's time must be at least so many times ours; None: information."""
        target = None if at_least is None else Target(bound=at_least, direction="at least")
        ratio = against.value / ours.value
        return cls(what=what, ours=ours, against=against, ratio=ratio, target=target, **details)

    @classmethod
    def times_as_many(
        cls, what: str, ours: Quantity, against: Quantity, *, at_least: float, **details: str
    ) -> Self:
        """Ours must be at least so many times the other's: a rate, where more is better."""
        target = Target(bound=at_least, direction="at least")
        ratio = ours.value / against.value
        return cls(what=what, ours=ours, against=against, ratio=ratio, target=target, **details)

    @classmethod
    def limited(cls, what: str, ours: Quantity, *, at_most: float, note: str = "") -> Self:
        """Our number may be at most so much."""
        target = Target(bound=at_most, direction="at most")
        return cls(what=what, ours=ours, target=target, note=note)

    @property
    def judged(self) -> float:
        """The number that the target speaks of."""
        return self.ours.value if self.ratio is None else self.ratio

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.target.is_met_by(self.judged)

    @property
    def verdict(self) -> str:
        """``met``; ``missed`` and by how much of the bound; nothing where there is no target."""
        if self.target is None:
            return ""
        if self.is_met:
            return "met"
        return f"missed by {abs(self.judged / self.target.bound - 1):.0%}"

    @property
    def target_text(self) -> str:
        """The target in words, such as ``at most 1.15 times``."""
        if self.target is None:
            return ""
        unit = "times" if self.ratio is not None else self.ours.unit
        return f"{self.target.direction} {self.target.bound:g} {unit}"

    def to_json(self) -> dict[str, Any]:
        """Plain values, which :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The result that :meth:`to_json` wrote."""
        kinds: dict[str, Any] = {"ours": Quantity, "against": Quantity, "target": Target}
        nested = {name: kinds[name](**values[name]) for name in kinds if values[name] is not None}
        return cls(**{**values, **nested})


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A row that could not be measured.

    Attributes:
        row: its name on the command line.
        reason: why, in one line.
    """

    row: str
    reason: str


def _three_digits(value: float) -> str:
    """``0.412``, ``18.3``, ``1,234``: three digits where there are more."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"
