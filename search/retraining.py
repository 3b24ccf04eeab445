"""Training a trial's configuration again on everything but the test rows, and testing it once."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import optuna
from rich import box
from rich.table import Table

from deeprec.dataset import TrainingData
from deeprec.device_data import DeviceData
from deeprec.errors import NonFiniteError
from deeprec.evaluation import evaluate_model
from deeprec.references import popularity_accuracy
from deeprec.retrieval import RetrievalModel
from deeprec.training import train
from search.errors import InputError
from search.retrained import RetrainRecord
from search.session import Session
from search.space import Configuration, suggest
from search.storage import load_study, records, refuse_other_study
from search.towers import save_towers
from search.trials import CurvePoint, TrialRecord, best_of

FAILED = 1
TEST_METRIC = "test_top_100_accuracy"


def retrain(session: Session, *, trial_number: int | None, seed: int | None) -> int:
    """Re-trains a finished trial and tests it; returns the exit code.

    Args:
        session: the study and its data.
        trial_number: which trial; the best when None.
        seed: of the weights; the trial's own when None.

    Raises:
        InputError: there is no such trial, it did not finish, or the study cannot be used.
    """
    study = load_study(session.storage_url, session.spec.name)
    trial = chosen_trial(records(study), trial_number)
    refuse_other_study(study, session.spec, session.dataset.fingerprint)
    tracker = session.open_tracker()
    configuration = suggest(_frozen(study, trial), session.spec.space)
    session.announce(
        f"re-training trial {trial.number} {trial.layer_sizes} for {trial.best_epoch} epochs "
        "on training and validation rows"
    )
    try:
        record, model = train_and_test(
            session, trial, configuration, int(trial.derived["seed"]) if seed is None else seed
        )
    except NonFiniteError as error:
        session.warn(f"the re-training failed: {error}; try another --seed or --trial")
        return FAILED
    name = f"retrained-{trial.number:04d}-seed-{record.seed}"
    towers = save_towers(model, session.workspace.towers(session.spec.name), name)
    tracker.log_retrain(record, towers)
    session.console.print(result_table(record, trial))
    session.show(f"towers:  {towers}")
    session.show(f"compare: {session.commands().compare}")
    return 0


def chosen_trial(trials: Sequence[TrialRecord], number: int | None) -> TrialRecord:
    """The trial with that number, or the best.

    Raises:
        InputError: there is none, or it did not finish.
    """
    if number is None:
        best = best_of(trials)
        if best is None:
            raise InputError("the study has no complete trial yet; search it first")
        return best
    chosen = next((trial for trial in trials if trial.number == number), None)
    if chosen is None:
        known = f"0 to {trials[-1].number}" if trials else "none"
        raise InputError(f"--trial must be a trial of the study ({known}) but got {number}")
    if not chosen.is_finished or chosen.best_epoch is None:
        raise InputError(
            f"--trial must be a finished trial (complete or pruned) but trial {number} is "
            f"{chosen.state}" + (f" ({chosen.reason})" if chosen.reason else "")
        )
    return chosen


def train_and_test(
    session: Session, trial: TrialRecord, configuration: Configuration, seed: int
) -> tuple[RetrainRecord, RetrievalModel]:
    """Trains on training and validation rows, then looks at the test rows, once."""
    assert trial.best_epoch is not None, "a finished trial was validated"
    dataset, splits = session.dataset, session.splits
    rows = splits.train.followed_by(splits.validation)
    data = TrainingData(users=dataset.users, movies=dataset.movies, train=rows, validation=None)
    model = RetrievalModel.for_tables(
        dataset.users, dataset.movies, configuration.model_config(), seed=seed
    )
    config = replace(configuration.training_config(session.spec, seed), epochs=trial.best_epoch)
    curve: list[CurvePoint] = []

    def keep(epoch: int, metrics: Mapping[str, float]) -> None:
        curve.append(CurvePoint(epoch=epoch, timestamp_ms=_now_ms(), metrics=dict(metrics)))

    started_ms = _now_ms()
    train(model, DeviceData(data), config, on_epoch=keep)
    evaluation = evaluate_model(
        model, dataset.users, dataset.movies, splits.test, split="test", config=config
    )
    popularity = popularity_accuracy(rows, splits.test, dataset.movies.rows)
    record = RetrainRecord(
        trial=trial.number,
        parameters=trial.parameters,
        derived={name: value for name, value in trial.derived.items() if name != "seed"},
        epochs=trial.best_epoch,
        seed=seed,
        curve=tuple(curve),
        metrics=evaluation.named("test"),
        references={f"popularity_{TEST_METRIC}": popularity},
        started_ms=started_ms,
        ended_ms=_now_ms(),
    )
    return record, model


def result_table(record: RetrainRecord, trial: TrialRecord) -> Table:
    """Validation and test accuracy of the model, and of popularity, side by side."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("top-100 accuracy", "validation", "test"):
        table.add_column(header, justify="left" if header == "top-100 accuracy" else "right")
    popularity = record.references[f"popularity_{TEST_METRIC}"]
    name = f"trial {trial.number} {record.layer_sizes}, {record.epochs} epochs"
    table.add_row(name, f"{trial.value:.4f}", f"{record.metrics[TEST_METRIC]:.4f}", style="green")
    table.add_row("popularity", "", f"{popularity:.4f}")
    return table


def _frozen(study: optuna.Study, trial: TrialRecord) -> optuna.trial.FrozenTrial:
    return next(
        frozen for frozen in study.get_trials(deepcopy=False) if frozen.number == trial.number
    )


def _now_ms() -> int:
    return round(time.time() * 1000)
