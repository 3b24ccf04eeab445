"""What Optuna, MLflow and saving cost: the study, minus the same trainings alone.

Both are whole commands in fresh processes that import, load the data, compile and train the same
configurations in the same order. What the study takes longer is charged to the harness: importing
Optuna and MLflow, making their databases, logging, saving, the summary.
"""

import statistics
import time
from contextlib import suppress

from deeprec.config import TrainingConfig
from deeprec.data.dataset import default_cache_dir
from deeprec.errors import DivergedError
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_data import DeviceData
from deeprec.training.programs import use_compilation_cache
from deeprec.training.train import train
from search.execution.objective import free_memory, set_libraries_aside
from tests.benchmarks.data import fixed_configurations, training_data, validate_every
from tests.benchmarks.folders import fresh_folder
from tests.benchmarks.harness import Result, call, in_turn
from tests.benchmarks.study import our_seconds

AT_MOST = 5.0


def measure(*, quick: bool) -> list[Result]:
    """The share of the study's wall time, in percent."""
    count, epochs, repeats = (3, 2, 1) if quick else (20, TrainingConfig().epochs, 3)
    pairs = in_turn(
        lambda: our_seconds(count, epochs)[0], lambda: _bare_seconds(count, epochs), repeats
    )
    shares = [100 * (1 - bare / study) for study, bare in zip(pairs.ours, pairs.other, strict=True)]
    seconds = pairs.medians()
    return [
        Result(
            what=f"Optuna, MLflow and saving, {count} trials",
            ours=statistics.median(shares),
            unit="%",
            at_most=AT_MOST,
            note=f"of the wall time of the study, {seconds['ours']:.3g} s; the same trainings "
            f"alone take {seconds['against']:.3g} s; single pairs: "
            + ", ".join(f"{share:.1f} %" for share in shares),
        )
    ]


def _bare_seconds(count: int, epochs: int) -> float:
    """Seconds of a process that does nothing but train the configurations."""
    with fresh_folder() as folder:
        started = time.perf_counter()
        arguments = {"count": count, "epochs": epochs}
        call("overhead:train_all", arguments, environment=folder.environment)
        return time.perf_counter() - started


def train_all(*, count: int, epochs: int) -> None:
    """Builds and trains every configuration, as the study does, and keeps nothing."""
    data = training_data(validation=True)
    on_device = DeviceData(data)
    use_compilation_cache(default_cache_dir() / "compiled")
    set_libraries_aside()
    for seed, configuration in enumerate(fixed_configurations(count)):
        model = RetrievalModel.for_tables(
            data.users, data.movies, configuration.model_config(), seed=seed
        )
        config = TrainingConfig(
            learning_rate=configuration.values["learning_rate"],
            epochs=epochs,
            validate_every=validate_every(epochs),
        )
        with suppress(DivergedError):  # the study's trial ends there, too
            train(model, on_device, config)
        del model
        free_memory()
