"""Two workers on two cores against one: trials an hour, whole commands, compilation included.

And three against two: ``--workers auto`` takes one a core, as more do not pay.
"""

import os

from deeprec.config import TrainingConfig
from tests.benchmarks.harness import MeasurementError, Result, in_turn
from tests.benchmarks.study import our_seconds

AT_LEAST = 1.4
CORES = 2


def measure(*, quick: bool) -> list[Result]:
    """The same configurations, none pruned, by two workers and by one."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    if len(cores) < CORES:
        raise MeasurementError(f"{CORES} cores are needed but there is {len(cores)}")
    os.sched_setaffinity(0, cores)  # the commands inherit it
    count, epochs, repeats = (3, 2, 1) if quick else (40, TrainingConfig().epochs, 2)
    pairs = in_turn(
        lambda: our_seconds(count, epochs, workers=2)[0],
        lambda: our_seconds(count, epochs, workers=1)[0],
        repeats,
    )
    seconds = pairs.medians()
    rate, of_one = 3600 * count / seconds["ours"], 3600 * count / seconds["against"]
    more = our_seconds(count, epochs, workers=CORES + 1)[0]
    return [
        Result(
            what=f"--workers 2 on {CORES} cores, {count} trials",
            ours=rate,
            against=of_one,
            unit="trials an hour",
            opponent="one worker",
            at_least=AT_LEAST,
            is_rate=True,
            note=f"start-up and compilation included; of the seconds, {pairs.spread}",
        ),
        Result(
            what=f"--workers {CORES + 1} on {CORES} cores",
            ours=3600 * count / more,
            against=rate,
            unit="trials an hour",
            opponent="two workers",
            is_rate=True,
        ),
    ]
