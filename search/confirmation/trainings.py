"""Training contenders with several seeds: on validation to choose, on test to know.

Everything computed here is kept in the study's ledger, so an interrupted confirmation goes on
where it was, and one that is run again computes nothing and tests nothing twice.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from deeprec.config import ModelConfig, TrainingConfig
from deeprec.errors import DivergedError
from deeprec.evaluation.ranking import rank_test_rows
from deeprec.model.retrieval import RetrievalModel
from deeprec.recommender import Recommender
from deeprec.training.device_data import DeviceData
from deeprec.training.train import chance_accuracy, train_new
from deeprec.training.validation import evaluate_model
from search.confirmation.contenders import Contender
from search.display.confirmation_view import ConfirmationProgress
from search.execution.objective import free_memory
from search.execution.runtime import computed_on
from search.records.results import TEST_METRIC, RetrainRecord
from search.records.trials import OBJECTIVE_METRIC, CurvePoint
from search.scheduling.seeds import derive_seed
from search.session.session import Session
from search.storage.results import (
    COLLAPSED,
    SECONDS,
    Ledger,
    TrainingKey,
    confirmed_folder,
    retraining_of,
    validated_accuracy,
)
from search.storage.towers import find_towers, tower_folder
from search.storage.trials import curve_to_json

Result = Mapping[str, Any]


class Confirming:
    """Trains contenders of one study.

    Args:
        session: the study and its data.
        ledger: where results are kept.
        progress: hears of every training.
        stop_reason: asked after every epoch; a reason (as text) raises KeyboardInterrupt there.
    """

    def __init__(
        self,
        session: Session,
        ledger: Ledger,
        progress: ConfirmationProgress,
        *,
        stop_reason: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._session = session
        self._ledger = ledger
        self._progress = progress
        self._stop_reason = stop_reason

    def validate(self, contender: Contender, number: int) -> float | None:
        """Validation top-100 accuracy after training on the training rows with a seed.

        None where the training diverged, or is no better than chance.

        The epochs are those of the contender, so unlike the value of a trial this is no best of
        several validations.

        Args:
            contender: what is trained.
            number: of the seed, from 0; a number is the same seed for every contender.
        """
        name = TrainingKey(contender.key, contender.training.epochs, number).validation
        result = self._ledger.computed(name, lambda: self._validated(contender, number))
        if COLLAPSED not in result and result[OBJECTIVE_METRIC] <= self.chance:  # of version 0.1.0
            result = {**result, COLLAPSED: self._no_better(result[OBJECTIVE_METRIC])}
            self._ledger.keep(name, result)
        accuracy = validated_accuracy(result)
        self._progress.finished(contender.name, accuracy, is_test=False)
        return accuracy

    def test(self, contender: Contender, number: int) -> tuple[RetrainRecord, Path | None]:
        """Trains on training and validation rows with a seed, and looks at the test rows once.

        Args:
            contender: a trial.
            number: of the seed, from 0; the towers of the first are kept.

        Returns:
            What was measured, and where the recommender made of the towers lies if it was kept.
        """
        name = TrainingKey(contender.key, contender.training.epochs, number).test
        result = self._ledger.computed(name, lambda: self._tested(contender, number))
        record = retraining_of(result)
        if record.collapsed is None and record.metrics[TEST_METRIC] <= self.chance:
            record = replace(record, collapsed=self._no_better(record.metrics[TEST_METRIC]))
        accuracy = None if record.collapsed else record.metrics[TEST_METRIC]
        self._progress.finished(contender.name, accuracy, is_test=True)
        return record, self._towers(contender) if number == 0 and not record.collapsed else None

    @property
    def chance(self) -> float:
        """The accuracy of a random order, in 0..1."""
        return chance_accuracy(ModelConfig().retrieval_k, self._session.dataset.movies.rows - 1)

    def _no_better(self, accuracy: float) -> str:
        return f"accuracy {accuracy:.4f} is no better than chance ({self.chance:.4f})"

    def _towers(self, contender: Contender) -> Path:
        """The recommender of the first seed; one that was lost is trained again, not tested."""
        folder = self._session.towers_folder
        found = find_towers(folder, _folder_name(contender))
        if found is None:
            purpose = "training and validation rows, as its towers were lost"
            self._progress.started(contender.name, 0, purpose)
            config = self._config(contender, 0)
            self._keep(contender, self._trained(contender, config, self._all_but_test, []))
            self._progress.made_again()
        return found or tower_folder(folder, _folder_name(contender))

    def _keep(self, contender: Contender, model: RetrievalModel) -> None:
        place = tower_folder(self._session.towers_folder, _folder_name(contender))
        Recommender.of(model, self._session.dataset, self._session.splits.before_test).save(place)

    def _validated(self, contender: Contender, number: int) -> Result:
        self._progress.started(contender.name, number, "training rows, validated")
        started_ms = _now_ms()
        config = self._config(contender, number)
        found: dict[str, Any] = {}
        try:
            model = self._trained(contender, config, self._train_only, [])
            dataset, rows = self._session.dataset, self._session.splits.validation
            found = evaluate_model(
                model, dataset.users, dataset.movies, rows, split="val", config=config
            ).named("val")
        except DivergedError as error:
            found[COLLAPSED] = str(error)
        free_memory()
        return {"seed": config.seed, SECONDS: (_now_ms() - started_ms) / 1000, **found}

    def _tested(self, contender: Contender, number: int) -> Result:
        self._progress.started(contender.name, number, "training and validation rows, tested once")
        started_ms = _now_ms()
        config, curve = self._config(contender, number), list[CurvePoint]()
        metrics, collapsed = {}, None
        try:
            model = self._trained(contender, config, self._all_but_test, curve)
            metrics = rank_test_rows(model, self._session.dataset, self._session.splits).named(
                "test"
            )
            if number == 0:
                self._keep(contender, model)
        except DivergedError as error:
            collapsed = str(error)
        free_memory()
        assert contender.trial is not None, "only a trial is tested"
        derived = {k: v for k, v in contender.trial.derived.items() if k != "seed"}
        record = RetrainRecord(
            trial=contender.trial.number,
            parameters=contender.trial.parameters,
            derived=derived,
            epochs=config.epochs,
            seed=config.seed,
            curve=tuple(curve),
            metrics=metrics,
            collapsed=collapsed,
            started_ms=started_ms,
            ended_ms=_now_ms(),
            computed_on=computed_on(),
        )
        return asdict(record) | {"curve": curve_to_json(curve)}

    def _config(self, contender: Contender, number: int) -> TrainingConfig:
        seed = derive_seed(self._session.spec.study.seed, "confirmation", number)
        return replace(contender.training, seed=seed)

    def _trained(
        self,
        contender: Contender,
        config: TrainingConfig,
        data: DeviceData,
        curve: list[CurvePoint],
    ) -> RetrievalModel:
        """A model trained on some rows; the epochs are added to the curve as they end.

        Raises:
            DivergedError: the training diverged.
        """

        def keep(epoch: int, metrics: Mapping[str, float]) -> None:
            curve.append(CurvePoint(epoch=epoch, timestamp_ms=_now_ms(), metrics=dict(metrics)))
            self._progress.advanced(epoch, metrics)
            if reason := self._stop_reason():
                raise KeyboardInterrupt(reason)

        model, _ = train_new(contender.model, data, config, on_epoch=keep)
        return model

    @cached_property
    def _train_only(self) -> DeviceData:
        return DeviceData(self._session.data.training(self._session.splits.train))

    @cached_property
    def _all_but_test(self) -> DeviceData:
        return DeviceData(self._session.data.training(self._session.splits.before_test))


def _folder_name(contender: Contender) -> str:
    return confirmed_folder(contender.key, contender.training.epochs)


def _now_ms() -> int:
    return round(time.time() * 1000)
