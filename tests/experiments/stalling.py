"""What ``stop_when_stalled`` saves and costs, on recorded curves.

``python -m tests.experiments stalling ranking`` searches the surrogate with TPE, the median
pruner and 20 seeds, and looks at which of the 50 trials the search would have stopped.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.config.study import StudySpec
from search.scheduling.next_trial import stalled
from tests.experiments.races import SEEDS, pruner_race, run, spec_of, worths_of


def main(given: list[str]) -> None:
    """Prints a table for each study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parser = argparse.ArgumentParser(prog="python -m tests.experiments stalling")
    parser.add_argument("studies", nargs="*", default=["ranking", "tutorial"])
    for study in parser.parse_args(given).studies:
        spec = spec_of(study)
        median = pruner_race(spec)[0]
        searches = [run(spec, median, seed) for seed in range(SEEDS)]
        print_table(spec, searches)


def print_table(spec: StudySpec, searches: Sequence[Sequence[FrozenTrial]]) -> None:
    """What is saved and lost, for some patience."""
    sys.stdout.write(
        f"\n{spec.name}\n\n| stop_when_stalled | trials | epochs saved "
        "| value lost, thousandths | searches that lost over 1 |\n| --- | --- | --- | --- | --- |\n"
    )
    for patience in (10, 15, 20, 25, 30):
        ends = [_end(each, patience) for each in searches]
        pairs = list(zip(searches, ends, strict=True))
        saved = [1 - _epochs(each[:end]) / _epochs(each) for each, end in pairs]
        lost = [1000 * (_worth(spec, each) - _worth(spec, each[:end])) for each, end in pairs]
        sys.stdout.write(
            f"| {patience} | {statistics.fmean(ends):.1f} "
            f"({min(ends)} to {max(ends)}) | {statistics.fmean(saved):.0%} "
            f"| {statistics.fmean(lost):+.2f} ± {statistics.stdev(lost):.2f} "
            f"| {sum(each > 1 for each in lost)} of {len(lost)} |\n"
        )


def _end(trials: Sequence[FrozenTrial], patience: int) -> int:
    """After how many trials the search stops."""
    counts = range(1, len(trials))
    return next((count for count in counts if stalled(trials[:count], patience)), len(trials))


def _epochs(trials: Sequence[FrozenTrial]) -> int:
    return sum(each.user_attrs["epochs"] for each in trials)


def _worth(spec: StudySpec, trials: Sequence[FrozenTrial]) -> float:
    """What the best trial is worth without the noise of its seed."""
    complete = [each for each in trials if each.state == TrialState.COMPLETE]
    best = max(complete, key=lambda each: each.value or 0.0)
    return worths_of(spec.name, [best])[0]
