"""A study of fixed configurations: ``search.run`` against the plain harness, whole commands."""

import json

from deeprec.config import TrainingConfig
from tests.benchmarks.data import fixed_configurations, study_file, validate_every
from tests.benchmarks.folders import fresh_folder
from tests.benchmarks.harness import Result, in_turn

AT_LEAST = 5.0


def measure(*, quick: bool) -> list[Result]:
    """The commands in turn, each in a new folder with no program compiled before."""
    count, epochs, repeats = (3, 2, 1) if quick else (20, TrainingConfig().epochs, 2)
    pairs = in_turn(
        lambda: our_seconds(count, epochs)[0], lambda: _plain_seconds(count, epochs), repeats
    )
    cold = Result(
        what=f"a study of {count} fixed configurations, {epochs} epochs, nothing compiled before",
        opponent="plain harness",
        at_least=AT_LEAST,
        **pairs.medians(),
    )
    warm = Result(
        what=f"a study of {count} fixed configurations, {epochs} epochs, warm compilation cache",
        ours=our_seconds(count, epochs, commands=2)[-1],
        against=cold.against,
        opponent=cold.opponent,
    )
    return [cold, warm]


def our_seconds(count: int, epochs: int, *, commands: int = 1, workers: int = 1) -> list[float]:
    """Seconds of ``search.run``: the first compiles, later ones find its programs in the cache."""
    with fresh_folder() as folder:
        seconds = []
        for _ in range(commands):
            place = folder.beside()
            place.write_study("fixed", study_file(fixed_configurations(count), epochs=epochs))
            command = ("search.run", "--study", "fixed", "--quiet", "--workers", str(workers))
            seconds.append(place.seconds(*command))
    return seconds


def _plain_seconds(count: int, epochs: int) -> float:
    with fresh_folder() as folder:
        configurations = [
            {"layer_sizes": each.layer_sizes, **each.values} for each in fixed_configurations(count)
        ]
        (folder.path / "configurations.json").write_text(json.dumps(configurations), "utf-8")
        return folder.seconds(
            "tests.benchmarks.plain_harness",
            "configurations.json",
            f"--epochs={epochs}",
            f"--validate-every={validate_every(epochs)}",
        )
