"""A study of fixed configurations: ``search.run`` against the plain harness, whole commands."""

import json
from typing import Any

from deeprec.config import TrainingConfig
from tests.benchmarks.data import fixed_configurations, study_file, validate_every, write_study
from tests.benchmarks.folders import fresh_folder
from tests.benchmarks.measuring import in_turn
from tests.benchmarks.results import Quantity, Result

AT_LEAST = 5.0
NAME = "fixed"


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """The commands in turn, each in a new folder with no program compiled before."""
    count, epochs, repeats = (3, 2, 1) if quick else (20, TrainingConfig().epochs, 2)
    pairs = in_turn(
        lambda: our_seconds(count, epochs)[0], lambda: plain_seconds(count, epochs), repeats
    )
    warm = our_seconds(count, epochs, commands=2)[-1]
    what = f"a study of {count} fixed configurations, {epochs} epochs"
    return [
        Result.times_faster(
            f"{what}, nothing compiled before",
            pairs.our_median("s"),
            pairs.other_median("s"),
            at_least=AT_LEAST,
            opponent="plain harness",
            note=pairs.spread,
        ).to_json(),
        Result.times_faster(
            f"{what}, warm compilation cache",
            Quantity(value=warm, unit="s"),
            pairs.other_median("s"),
            at_least=None,
            opponent="plain harness",
        ).to_json(),
    ]


def our_seconds(count: int, epochs: int, *, commands: int = 1) -> list[float]:
    """Seconds of ``search.run``: the first compiles, later ones find its programs in the cache."""
    with fresh_folder() as folder:
        seconds = []
        for _ in range(commands):
            place = folder.beside()
            write_study(place.path, NAME, _study(count, epochs))
            seconds.append(place.time("search.run", "--study", NAME, "--quiet"))
    return seconds


def plain_seconds(count: int, epochs: int) -> float:
    """Seconds of the plain harness."""
    with fresh_folder() as folder:
        configurations = [
            {"layer_sizes": each.layer_sizes, **each.values} for each in fixed_configurations(count)
        ]
        (folder.path / "configurations.json").write_text(json.dumps(configurations), "utf-8")
        return folder.time(
            "tests.benchmarks.plain_harness",
            "configurations.json",
            f"--epochs={epochs}",
            f"--validate-every={validate_every(epochs)}",
        )


def _study(count: int, epochs: int) -> str:
    return study_file(fixed_configurations(count), epochs=epochs)
