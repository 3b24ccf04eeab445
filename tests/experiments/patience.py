"""What ``[training] patience`` saves and costs, on the recorded curves themselves.

``python -m tests.experiments patience`` ends each recorded training where patience would have, and
compares it with its whole curve. Nothing is modeled and nothing pruned.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from tests.experiments.recorded import Recorded, read

HEADINGS = (
    *("study", "patience", "a new best exceeds", "epochs saved", "value lost"),
    *("of the best quarter: saved", "lost", "lost at most"),
)


def main(given: list[str]) -> None:
    """Prints a line for each study, patience and least improvement; losses are in thousandths."""
    parser = argparse.ArgumentParser(prog="python -m tests.experiments patience")
    parser.add_argument("studies", nargs="*", default=["ranking", "tutorial"])
    lines: list[Sequence[str]] = [HEADINGS, ["---"] * len(HEADINGS)]
    for study in parser.parse_args(given).studies:
        healthy = [each for each in read(study) if not each.diverged]
        lines.extend(
            [study, str(patience), f"{delta:g}", *_cells(healthy, patience, delta)]
            for patience in (1, 2, 3, 4, 5)
            for delta in (0.0, 0.001)
        )
    sys.stdout.write("".join(f"| {' | '.join(line)} |\n" for line in lines))


def _cells(recorded: Sequence[Recorded], patience: int, delta: float) -> list[str]:
    whole = np.array([each.best for each in recorded])
    ends = [end_of(each.values, patience, delta) for each in recorded]
    cut = [each.values[:end] for each, end in zip(recorded, ends, strict=True)]
    saved = 1 - np.array(ends) / len(recorded[0].values)
    lost = 1000 * (whole - np.array([max(values) for values in cut]))
    best = whole >= np.quantile(whole, 0.75)
    return [
        *(f"{saved.mean():.0%}", f"{lost.mean():.2f}"),
        *(f"{saved[best].mean():.0%}", f"{lost[best].mean():.2f}", f"{lost[best].max():.1f}"),
    ]


def end_of(values: Sequence[float], patience: int, delta: float = 0.0) -> int:
    """After how many validations a training ends, see :func:`deeprec.training.train.train`."""
    best, no_better = -1.0, 0
    for count, value in enumerate(values, 1):
        best, no_better = (value, 0) if value > best + delta else (best, no_better + 1)
        if no_better == patience:
            return count
    return len(values)
