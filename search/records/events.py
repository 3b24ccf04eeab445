"""What happens in a search, as data: displays, tracking and parent processes hear it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from search.records.trials import CurvePoint, TrialRecord

OutcomeState = Literal["complete", "interrupted", "timeout", "failing", "exhausted", "stalled"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a search ended."""

    # ``complete``: the study has its trials. ``interrupted``, ``timeout``: it was stopped.
    # ``failing``: trials, or the workers themselves, keep failing. ``exhausted``: the grid has no
    # more. ``stalled``: more trials are not expected to gain anything.
    state: OutcomeState
    reason: str = ""  # the same in words, for all but ``complete``


@dataclass(frozen=True)
class TrialStarted:
    """A trial has its configuration and begins to train."""

    trial: TrialRecord


@dataclass(frozen=True)
class EpochFinished:
    """Trial ``number`` has trained one more epoch."""

    number: int
    point: CurvePoint


@dataclass(frozen=True)
class TrialFinished:
    """A trial is over, however it ended; ``towers`` is their folder if it saved any."""

    trial: TrialRecord
    towers: Path | None


TrialEvent = TrialStarted | EpochFinished | TrialFinished

Listener = Callable[[TrialEvent], None]  # hears every event; what it does never changes a trial


@dataclass(frozen=True)
class Hooks:
    """How what runs trials is connected with what started it."""

    emit: Listener = lambda _event: None
    # called with a line about what was not as it should be
    warn: Callable[[str], None] = lambda _line: None
    # asked again and again; a text ends the search
    stop_reason: Callable[[], str | None] = lambda: None
    # given what was saved of a trial, and what is looked for before it is read: other machines may
    # need the one, and have the other
    keep: Callable[[Path], None] = lambda _path: None
    fetch: Callable[[Path], None] = lambda _path: None


def to_all(*listeners: Listener) -> Listener:
    """One listener that tells several, in their order."""

    def tell(event: TrialEvent) -> None:
        for listener in listeners:
            listener(event)

    return tell
