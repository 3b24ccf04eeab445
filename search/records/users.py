"""What each user adds to a metric: kept with a study, so that results can be paired by user."""

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

MOST_GROUPS = 4096
"""More users than these are kept in so many groups: an error over users is as sure with them."""


@dataclass(frozen=True, eq=False)
class UserResults:
    """A metric of some rows, user by user; of as many it is the ratio of two sums.

    Two results of the same rows have the same users in the same places.

    Attributes:
        totals: float64 ``[users]``, what each user adds.
        weights: float64 ``[users]``, of how much; 1 where users count alike.
    """

    totals: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]

    def __len__(self) -> int:
        """How many users, or groups of users, there are."""
        return len(self.totals)

    @property
    def mean(self) -> float:
        """The metric over all users."""
        return float(self.totals.sum() / self.weights.sum())

    def error(self, other: Self | None = None) -> float | None:
        """The standard error over users of the metric, or of its difference to that of another.

        That of a ratio of sums, linearized (Cochran 1977, "Sampling Techniques", chapter 6); users
        are paired. None below two users.
        """
        if len(self) < 2:
            return None
        off = self._off() - (0.0 if other is None else other._off())
        return float(np.sqrt(off @ off * len(self) / (len(self) - 1)))

    def _off(self) -> npt.NDArray[np.float64]:
        """How far each user moves the metric."""
        found: npt.NDArray[np.float64] = self.totals - self.mean * self.weights
        found /= self.weights.sum()
        return found

    def in_groups(self, groups: int) -> Self:
        """The same with the users in so many groups at most, dealt out in turn."""
        if len(self) <= groups:
            return self
        dealt = np.arange(len(self)) % groups
        return type(self)(np.bincount(dealt, self.totals), np.bincount(dealt, self.weights))  # type: ignore[arg-type]  # floats, by their weights

    @classmethod
    def mean_of(cls, several: Sequence[Self]) -> Self:
        """The mean over trainings, of each user."""
        return cls(np.mean([each.totals for each in several], axis=0), several[0].weights)

    @property
    def text(self) -> str:
        """As text of at most 44,000 characters; :meth:`of_text` reads it again."""
        kept = self.in_groups(MOST_GROUPS)
        numbers = np.concatenate([kept.totals, kept.weights]).astype("<f4")
        return base64.b64encode(zlib.compress(numbers.tobytes(), 9)).decode("ascii")

    @classmethod
    def of_text(cls, text: str) -> Self:
        """What :attr:`text` has made of it, in single precision."""
        numbers = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f4").astype(np.float64)
        return cls(*np.split(numbers, 2))


def texts_of(
    by_user: Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]], split: str
) -> dict[str, str]:
    """Totals and weights by the keys of metrics, as texts by their names in tracking."""
    return {f"{split}_{key}": UserResults(*parts).text for key, parts in by_user.items()}
