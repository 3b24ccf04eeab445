"""Trials by their depth, the number of layers of a tower."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from search.trials import TrialRecord


def depth_of(layer_sizes: str) -> int:
    """The depth of widths as text, such as ``(64, 32)``; 0 where they are unknown."""
    return len(re.findall(r"\d+", layer_sizes))


def by_depth(trials: Iterable[TrialRecord]) -> Mapping[int, Sequence[TrialRecord]]:
    """All trials of each depth, shallow to deep."""
    found: dict[int, list[TrialRecord]] = {}
    for trial in trials:
        found.setdefault(depth_of(trial.layer_sizes), []).append(trial)
    return dict(sorted(found.items()))


def best_by_depth(trials: Iterable[TrialRecord]) -> Mapping[int, TrialRecord]:
    """The best finished trial of each depth that is known, shallow to deep.

    A complete trial beats a pruned one; the earlier trial wins among equals.
    """
    valued = [trial for trial in trials if trial.is_finished and trial.value is not None]
    return {
        depth: max(sorted(alike, key=lambda trial: trial.number), key=_rank)
        for depth, alike in by_depth(valued).items()
        if depth
    }


def _rank(trial: TrialRecord) -> tuple[bool, float]:
    return trial.state == "complete", -math.inf if trial.value is None else trial.value
