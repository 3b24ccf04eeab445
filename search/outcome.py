"""How a search ended, as plain data."""

from dataclasses import dataclass
from typing import Literal

OutcomeState = Literal["complete", "interrupted", "timeout", "failing", "exhausted"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a search ended.

    Attributes:
        state: ``complete``: the study has its trials. ``interrupted``, ``timeout``: it was stopped.
            ``failing``: trials, or the workers themselves, keep failing. ``exhausted``: the grid
            has no more.
        reason: the same in words, for all but ``complete``.
    """

    state: OutcomeState
    reason: str = ""
