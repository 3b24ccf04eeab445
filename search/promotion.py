"""Which model is the champion: the present one, or the one that has just been confirmed."""

import math
from dataclasses import dataclass

from search.noise import noise_of


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """What a model was found to be worth on the test rows, over several seeds.

    Attributes:
        mean: of the test accuracy over the seeds.
        deviation: the standard deviation over the seeds; None for a single seed.
        seeds: how many trainings.
        data_fingerprint: of the prepared data.
        split: how the rows were divided: other test rows are another test.
    """

    mean: float
    deviation: float | None
    seeds: int
    data_fingerprint: str
    split: str

    @property
    def error(self) -> float | None:
        """The standard error of the mean; None where a single seed leaves it unknown."""
        if self.deviation is None or self.seeds < 2:
            return None
        return self.deviation / math.sqrt(self.seeds)


@dataclass(frozen=True)
class Decision:
    """Whether the new model becomes the champion, and why, in a sentence."""

    promote: bool
    reason: str


def decide(new: Confirmed, champion: Confirmed | None, choice: bool | None = None) -> Decision:
    """Whether a model becomes the champion.

    It does where there is none, and where its mean test accuracy is higher than the champion's by
    more than the noise: ``2 * sqrt(sd1 ** 2 / n1 + sd2 ** 2 / n2)``.

    Args:
        new: the model in question.
        champion: the present one; None where there is none.
        choice: decided by the user, ``--promote`` or ``--no-promote``; None to compare.
    """
    found = _compare(new, champion)
    if choice is None or choice == found.promote:
        return found
    flag = "--promote" if choice else "--no-promote"
    return Decision(choice, f"{flag} was given; {found.reason}")


def _compare(new: Confirmed, champion: Confirmed | None) -> Decision:
    if champion is None:
        return Decision(True, "there was no champion")
    if other := _other_test(new, champion):
        return Decision(False, f"not comparable: the champion was tested on {other}")
    both = f"mean test accuracy {new.mean:.4f} against the champion's {champion.mean:.4f}"
    noise = noise_of(new.error, champion.error)
    if noise is None:
        return Decision(False, f"{both}; with a single seed nobody can tell that from noise")
    if new.mean - champion.mean > noise:
        return Decision(True, f"{both}: more than the noise ({noise:.4f})")
    return Decision(False, f"{both}: not better by more than the noise ({noise:.4f})")


def _other_test(new: Confirmed, champion: Confirmed) -> str | None:
    if new.data_fingerprint != champion.data_fingerprint:
        return f"other data ({champion.data_fingerprint[:8]}, not {new.data_fingerprint[:8]})"
    if new.split != champion.split:
        return f"another split ({champion.split}, not {new.split})"
    return None
