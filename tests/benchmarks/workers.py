"""Two workers on two cores against one: trials an hour, whole commands, compilation included."""

import os
from typing import Any

from deeprec.config import TrainingConfig
from tests.benchmarks.data import fixed_configurations, study_file, write_study
from tests.benchmarks.folders import Folder, finish, fresh_folder
from tests.benchmarks.fresh import MeasurementError
from tests.benchmarks.measuring import in_turn
from tests.benchmarks.results import Quantity, Result

AT_LEAST = 1.4
CORES = 2
FLAG = "--workers"
NAME = "fixed"


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """The same configurations, none pruned, by two workers and by one."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    if len(cores) < CORES:
        raise MeasurementError(f"{CORES} cores are needed but there is {len(cores)}")
    os.sched_setaffinity(0, cores)  # the commands inherit it
    with fresh_folder() as folder:
        _check_flag(folder)
    count, epochs, repeats = (3, 2, 1) if quick else (40, TrainingConfig().epochs, 2)
    pairs = in_turn(
        lambda: _seconds(count, epochs, workers=2),
        lambda: _seconds(count, epochs, workers=1),
        repeats,
    )
    hourly = [
        Quantity(value=count * 3600 / seconds.value, unit="trials an hour")
        for seconds in (pairs.our_median("s"), pairs.other_median("s"))
    ]
    return [
        Result.times_as_many(
            f"{FLAG} 2 on {CORES} cores, {count} trials",
            hourly[0],
            hourly[1],
            at_least=AT_LEAST,
            opponent="one worker",
            note=f"start-up and compilation included; of the seconds, {pairs.spread}",
        ).to_json()
    ]


def _check_flag(folder: Folder) -> None:
    if FLAG not in finish(folder.start("search.run", "--help")):
        raise MeasurementError(f"search.run has no {FLAG} yet")


def _seconds(count: int, epochs: int, *, workers: int) -> float:
    with fresh_folder() as folder:
        write_study(folder.path, NAME, study_file(fixed_configurations(count), epochs=epochs))
        arguments = ("--study", NAME, "--quiet", FLAG, str(workers))
        return folder.time("search.run", *arguments)
