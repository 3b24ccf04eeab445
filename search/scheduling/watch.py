"""Telling the living from the dead by signs of life that somebody counts.

Only the time in which the watcher itself was awake and could see anything counts: after an outage,
or after it was stopped itself, it starts to watch anew. No clock of another machine is compared.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

GRACE_SECONDS = 60.0
"""How long a worker may be silent."""

BEATS_IN_GRACE = 6
"""So many signs of life does a worker give in that time."""

Who = TypeVar("Who", bound=Hashable)


@dataclass
class _Seen:
    """Somebody as they were seen last."""

    signs: int
    silent_seconds: float = 0.0


class Watch(Generic[Who]):
    """Measures for how long somebody has been silent.

    Args:
        grace_seconds: after which they count as dead.
        longest_step: the most that one look may add, in seconds, however long ago the last was.
    """

    def __init__(self, grace_seconds: float, longest_step: float) -> None:
        self._grace_seconds = grace_seconds
        self._longest_step = longest_step
        self._seen: dict[Who, _Seen] = {}
        self._looked_at: float | None = None

    def look(self, signs: Mapping[Who, int], now: float) -> frozenset[Who]:
        """Takes in how many signs everybody has given by now (seconds from any origin).

        Returns:
            Those that have been silent for the grace period.
        """
        step = 0.0 if self._looked_at is None else min(now - self._looked_at, self._longest_step)
        self._looked_at = now
        self._seen = {who: self._see(who, count, step) for who, count in signs.items()}
        return frozenset(
            who for who, seen in self._seen.items() if seen.silent_seconds >= self._grace_seconds
        )

    def _see(self, who: Who, signs: int, step: float) -> _Seen:
        before = self._seen.get(who)
        if before is None or before.signs != signs:
            return _Seen(signs)
        return _Seen(signs, before.silent_seconds + step)
