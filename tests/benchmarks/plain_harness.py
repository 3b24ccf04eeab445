"""What a good user would write without this project: one script, Keras under Optuna and MLflow.

``python -m tests.benchmarks.plain_harness CONFIGURATIONS.json --epochs 30`` trains the
configurations of the file in turn, in the working directory: Optuna on SQLite with a pruning
callback, a run a trial in MLflow on SQLite with the metrics of every epoch, and the towers of each
new best trial saved.

Only the data and the model come from ``deeprec``: the comparison is about the harness.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import mlflow
import optuna

from deeprec.config import DataConfig, ModelConfig
from deeprec.data.dataset import Dataset, load_dataset, split
from deeprec.model.retrieval import RetrievalModel
from tests.benchmarks.data import pipeline

BATCH_SIZE = 1000
MONITOR = "val_top_100_accuracy"


class PruningCallback(keras.callbacks.Callback):
    """Reports the validated accuracy to Optuna and stops the trial where its pruner says so."""

    def __init__(self, trial: optuna.Trial) -> None:
        super().__init__()
        self.trial = trial

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if logs and MONITOR in logs:
            self.trial.report(logs[MONITOR], step=epoch)
            if self.trial.should_prune():
                raise optuna.TrialPruned


class MlflowCallback(keras.callbacks.Callback):
    """Logs every epoch's metrics to the active run."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        mlflow.log_metrics(dict(logs or {}), step=epoch)


class PlainObjective:
    """Trains the configuration that a trial suggests; its value is the best accuracy."""

    def __init__(self, dataset: Dataset, epochs: int, validate_every: int) -> None:
        splits = split(dataset, DataConfig())
        self.dataset = dataset
        self.epochs = epochs
        self.validate_every = validate_every
        self.train = pipeline(dataset.users, dataset.movies, splits.train, BATCH_SIZE)
        self.validation = pipeline(dataset.users, dataset.movies, splits.validation, BATCH_SIZE)

    def __call__(self, trial: optuna.Trial) -> float:
        keras.utils.clear_session()
        keras.utils.set_random_seed(trial.number)
        depth = trial.suggest_int("depth", 1, 4)
        config = ModelConfig(
            layer_sizes=tuple(
                2 ** trial.suggest_int(f"width_{layer}_log2", 4, 8) for layer in range(depth)
            ),
            embedding_dimension=2 ** trial.suggest_int("embedding_dimension_log2", 4, 7),
        )
        learning_rate = trial.suggest_float("learning_rate", 0.005, 1.0, log=True)
        with mlflow.start_run(run_name=f"trial {trial.number}"):
            mlflow.log_params(trial.params)
            value = self._fit(trial, config, learning_rate)
            mlflow.log_metric("value", value)
        return value

    def _fit(self, trial: optuna.Trial, config: ModelConfig, learning_rate: float) -> float:
        model = RetrievalModel.for_tables(self.dataset.users, self.dataset.movies, config)
        model.compile(keras.optimizers.Adagrad(learning_rate), loss="mean_squared_error")
        history = model.fit(
            self.train,
            epochs=self.epochs,
            validation_data=self.validation,
            validation_freq=self.validate_every,
            callbacks=[PruningCallback(trial), MlflowCallback()],
            verbose=0,
        ).history
        value = max(history[MONITOR])
        earlier = [other.value for other in trial.study.trials if other.value is not None]
        if value > max(earlier, default=-1.0):
            save_towers(model, Path("towers"))
        return float(value)


def save_towers(model: RetrievalModel, folder: Path) -> None:
    """Saves both towers, over those of the best trial before."""
    folder.mkdir(exist_ok=True)
    model.query_model.save(folder / "query_model.keras")
    model.candidate_model.save(folder / "candidate_model.keras")


def trial_parameters(configuration: Mapping[str, Any]) -> dict[str, int | float]:
    """The trial parameters that :class:`PlainObjective` turns into the configuration."""
    widths = configuration["layer_sizes"]
    return {
        "depth": len(widths),
        **{f"width_{layer}_log2": width.bit_length() - 1 for layer, width in enumerate(widths)},
        "embedding_dimension_log2": configuration["embedding_dimension"].bit_length() - 1,
        "learning_rate": configuration["learning_rate"],
    }


def main() -> None:
    """Reads the configurations and trains them all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("configurations", type=Path)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--validate-every", type=int, default=5)
    arguments = parser.parse_args()
    configurations = json.loads(arguments.configurations.read_text(encoding="utf-8"))
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("plain")
    study = optuna.create_study(
        storage="sqlite:///optuna.db",
        study_name="plain",
        direction="maximize",
        pruner=optuna.pruners.NopPruner(),
    )
    for configuration in configurations:
        study.enqueue_trial(trial_parameters(configuration))
    objective = PlainObjective(
        load_dataset(DataConfig()), arguments.epochs, arguments.validate_every
    )
    study.optimize(objective, n_trials=len(configurations))


if __name__ == "__main__":
    main()
