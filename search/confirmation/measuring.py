"""What a confirmation measures: who competes for being the model, trained with several seeds.

Everything computed here is kept in the study's ledger, so an interrupted confirmation goes on
where it was, and one that is run again computes nothing and tests nothing twice.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from deeprec.config import INDEX_FROM, ModelConfig, TrainingConfig
from deeprec.data.tables import FloatArray, IntArray
from deeprec.errors import DivergedError
from deeprec.evaluation.ranking import ListMetrics, rank_test_rows, rank_validation_rows
from deeprec.model.retrieval import RetrievalModel
from deeprec.recommender import Recommender
from deeprec.retrieval.approximate import INSTALL, is_installed
from deeprec.serving_costs import LEAST_RECALL, without_poor_index
from deeprec.training.device_data import DeviceData
from deeprec.training.train import chance_accuracy, evaluated, train_new
from search.analysis.noise import Sample
from search.analysis.verdict import Confirmed
from search.config.sections import DataSection
from search.config.space import (
    Configuration,
    enqueued_configurations,
    list_metrics_of,
    suggest,
)
from search.config.study import StudySpec
from search.display.confirmation_view import ConfirmationProgress
from search.execution.data import StudyData
from search.execution.objective import free_memory
from search.execution.runtime import computed_on
from search.records.errors import InputError
from search.records.results import RetrainRecord, test_metric, texts_of, words_of_index
from search.records.trials import (
    TUTORIAL_OBJECTIVE,
    CurvePoint,
    TrialRecord,
    front_of,
    objective_of,
    ranked,
)
from search.scheduling.samplers import derive_seed
from search.storage import results
from search.storage.files import find_towers, tower_folder
from search.storage.trials import curve_to_json

TUTORIAL = "tutorial"
REFERENCE = "reference"
"""Keys of the reference: where it is the tutorial's own model, and where it is another."""

TOP, MOST_OF_FRONT = 3, 20
"""How many trials compete where ``--top`` is not given: of one objective, and of a Pareto front."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A configuration that is trained with several seeds."""

    key: str  # what its results are kept under, such as ``trial-0012``
    name: str  # for people, such as ``trial 12 (64, 32)``
    model: ModelConfig
    training: TrainingConfig  # how it is trained; for how many epochs is decided, the seed is not
    trial: TrialRecord | None  # the best one that tried it; None for the reference

    def is_same_configuration(self, other: "Contender") -> bool:
        """Whether both are one configuration, for however many epochs each is trained."""
        epochs = other.training.epochs
        return self.model == other.model and replace(self.training, epochs=epochs) == other.training


def chosen_trials(
    trials: Sequence[TrialRecord],
    number: int | None,
    top: int | None = None,
    objectives: Sequence[str] = (TUTORIAL_OBJECTIVE,),
) -> list[TrialRecord]:
    """The trial with that number, or the best complete ones, each of another configuration.

    Of several objectives the best ones are the Pareto front. ``top`` is how many at most; None for
    three, or of a front for as many as :data:`MOST_OF_FRONT`. The one with the highest value comes
    first. InputError where there is none, or it did not finish.
    """
    if number is None:
        best: dict[frozenset[tuple[str, int | float | str]], TrialRecord] = {}
        has_several = len(objectives) > 1
        top = top or (MOST_OF_FRONT if has_several else TOP)
        for trial in front_of(trials, objectives) if has_several else ranked(trials):
            best.setdefault(frozenset(trial.parameters.items()), trial)
        if not best:
            limited = [trial for trial in trials if trial.state == "complete"]
            within = " within the limits" if limited else ""
            raise InputError(f"the study has no complete trial{within} yet; search it first")
        return list(best.values())[:top]
    chosen = next((trial for trial in trials if trial.number == number), None)
    if chosen is None:
        known = f"0 to {trials[-1].number}" if trials else "none"
        raise InputError(f"--trial must be a trial of the study ({known}) but got {number}")
    if chosen.best_epoch is None or chosen.state not in ("complete", "pruned"):
        raise InputError(
            f"--trial must be a finished trial (complete or pruned) but trial {number} is "
            f"{chosen.state}" + (f" ({chosen.reason})" if chosen.reason else "")
        )
    if chosen.infeasible:
        raise InputError(
            f"--trial must be a trial within the limits of the study but trial {number} is "
            f"infeasible: {chosen.infeasible}; choose another, or change [limits] in the study file"
        )
    return [chosen]


def contender_of(trial: TrialRecord, study: optuna.Study, spec: StudySpec) -> Contender:
    """A finished trial, to be trained for as many epochs as its best validation took."""
    assert trial.best_epoch is not None, "a finished trial was validated"
    frozen = next(
        frozen for frozen in study.get_trials(deepcopy=False) if frozen.number == trial.number
    )
    configuration = suggest(frozen, spec.space)
    return Contender(
        key=f"trial-{trial.number:04d}",
        name=f"trial {trial.number} {trial.layer_sizes}".rstrip(),
        model=configuration.model_config(spec.model.towers),
        training=replace(configuration.training_config(spec, seed=0), epochs=trial.best_epoch),
        trial=trial,
    )


def tutorial_contender() -> Contender:
    """The tutorial's own model: the defaults of :mod:`deeprec.config`."""
    model = ModelConfig()
    return Contender(
        key=TUTORIAL,
        name=f"the tutorial's {model.layer_sizes}",
        model=model,
        training=TrainingConfig(),
        trial=None,
    )


def reference_contender(spec: StudySpec) -> Contender:
    """What a search must beat to be worth it: the first configuration that the file enqueues.

    It is trained for all epochs of the study. Where a file enqueues nothing, it is the tutorial's
    own model: the defaults of :mod:`deeprec.config`, judged as the study's trials are.
    """
    tutorial = tutorial_contender()
    first = next(iter(enqueued_configurations(spec).items()), None)
    if first is None:
        if isinstance(spec.data, DataSection):
            metrics = list_metrics_of(spec)
            judged = replace(tutorial.training, metrics=metrics)
            # under another key: what was kept under the tutorial's is its accuracy
            return replace(tutorial, key=REFERENCE, training=judged) if metrics else tutorial
        model = ModelConfig()
        training = Configuration(layer_sizes=model.layer_sizes, values={})
        return replace(tutorial, training=training.training_config(spec, seed=0))
    name, configuration = first
    reference = Contender(
        key=REFERENCE,
        name=f"{name} {configuration.layer_sizes}" if "(" not in name else name,
        model=configuration.model_config(spec.model.towers),
        training=configuration.training_config(spec, seed=0),
        trial=None,
    )
    return tutorial if reference.is_same_configuration(tutorial) else reference


Result = Mapping[str, Any]


@dataclass(kw_only=True)
class Confirming:
    """Trains contenders of one study."""

    data: StudyData
    study_seed: int
    ledger: results.Ledger
    towers_folder: Path
    progress: ConfirmationProgress
    index_from: int = INDEX_FROM  # items from which a recommender gets an index
    # asked after every epoch; a reason (as text) raises KeyboardInterrupt there
    stop_reason: Callable[[], str | None] = lambda: None

    def validated(self, contender: Contender, seeds: int) -> Sample:
        """The validation of a contender with so many seeds."""
        found = [self.validate(contender, number) for number in range(seeds)]
        return Sample.of([each.value for each in found], [each.users for each in found])

    def validate(self, contender: Contender, number: int) -> results.ValidatedSeed:
        """The validation objective after training on the training rows with a seed.

        It has no value where the training diverged, or is no better than chance. The epochs are
        those of the contender, so unlike the value of a trial this is no best of several
        validations. The seed goes by ``number``, from 0: it is the same for every contender.
        """
        name = results.TrainingKey(contender.key, contender.training.epochs, number).validation
        result = self.ledger.computed(name, lambda: self._validated(contender, number))
        value = objective_of(result)
        if results.COLLAPSED not in result and value is not None and value <= self.chance:
            # It was kept by version 0.1.0.
            result = {**result, results.COLLAPSED: self._no_better(value)}
            self.ledger.keep(name, result)
        validated = results.ValidatedSeed.of(result)
        self.progress.finished(contender.name, validated.value, is_test=False)
        return validated

    def test(self, contender: Contender, number: int) -> tuple[RetrainRecord, Path | None]:
        """Trains on training and validation rows with a seed, and looks at the test rows once.

        The seed goes by ``number``, from 0; the towers of the first are kept as a recommender,
        which is returned, too.
        """
        name = results.TrainingKey(contender.key, contender.training.epochs, number).test
        result = self.ledger.computed(name, lambda: self._tested(contender, number))
        record = results.retraining_of(result)
        value = None if record.collapsed else record.metrics[test_metric(record.metrics)]
        if value is not None and value <= self.chance:
            record = replace(record, collapsed=self._no_better(value))
        accuracy = None if record.collapsed else value
        self.progress.finished(contender.name, accuracy, is_test=True)
        return record, self._towers(contender) if number == 0 and not record.collapsed else None

    @cached_property
    def chance(self) -> float:
        """The objective of a random order, in 0..1."""
        return chance_of(self.data)

    def _no_better(self, accuracy: float) -> str:
        return f"accuracy {accuracy:.4f} is no better than chance ({self.chance:.4f})"

    def _towers(self, contender: Contender) -> Path:
        """The recommender of the first seed; one that was lost is trained again, not tested."""
        folder = self.towers_folder
        found = find_towers(folder, _folder_name(contender))
        if found is None:
            purpose = "training and validation rows, as its towers were lost"
            self.progress.started(contender.name, 0, purpose)
            config = self._config(contender, 0)
            self._keep(contender, self._trained(contender, config, self._all_but_test, []))
            self.progress.made_again()
        return found or tower_folder(folder, _folder_name(contender))

    def _keep(self, contender: Contender, model: RetrievalModel) -> Mapping[str, float]:
        """Saves the recommender; what the index of a large catalog loses and saves."""
        made = Recommender.of(model, self.data.dataset, self.data.splits.before_test)
        made, index = without_poor_index(self._indexed(made))
        made.save(tower_folder(self.towers_folder, _folder_name(contender)))
        if index and made.index is None:
            self.progress.say(
                f"An index finds {index['index_recall_at_10']:.1%} of the ten best items, less "
                f"than {LEAST_RECALL:.0%}: every request scores all {made.items:,}"
            )
            return {}
        if index:
            self.progress.say(words_of_index(index))
        return index

    def _indexed(self, made: Recommender) -> Recommender:
        if made.items < self.index_from:
            return made
        if not is_installed():
            self.progress.warn(
                f"no index of the items is made, so every request scores all {made.items:,}: that "
                f"needs the package usearch; install it: {INSTALL}"
            )
            return made
        self.progress.say(f"making an index of {made.items:,} items")
        return made.indexed()

    def _validated(self, contender: Contender, number: int) -> Result:
        self.progress.started(contender.name, number, "training rows, validated")
        started_ms = _now_ms()
        config = self._config(contender, number)
        found: dict[str, Any] = {}
        try:
            model = self._trained(contender, config, self._train_only, [])
            found |= evaluated(model, self._to_validate, config)
            ranked = rank_validation_rows(
                model, self.data.dataset, self.data.splits, self.data.judge
            )
            found[results.USERS] = texts_of(ranked.by_user, "val")
        except DivergedError as error:
            found[results.COLLAPSED] = str(error)
        free_memory()
        return {"seed": config.seed, results.SECONDS: (_now_ms() - started_ms) / 1000, **found}

    def _tested(self, contender: Contender, number: int) -> Result:
        self.progress.started(contender.name, number, "training and validation rows, tested once")
        started_ms = _now_ms()
        config, curve = self._config(contender, number), list[CurvePoint]()
        metrics, users, collapsed = dict[str, float](), dict[str, str](), None
        index: Mapping[str, float] = {}
        try:
            model = self._trained(contender, config, self._all_but_test, curve)
            found = rank_test_rows(model, self.data.dataset, self.data.splits, self.data.judge)
            metrics, users = found.named("test"), texts_of(found.by_user, "test")
            if number == 0:
                index = self._keep(contender, model)
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
            users=users,
            index=index,
            collapsed=collapsed,
            started_ms=started_ms,
            ended_ms=_now_ms(),
            computed_on=computed_on(),
        )
        return asdict(record) | {"curve": curve_to_json(curve)}

    def _config(self, contender: Contender, number: int) -> TrainingConfig:
        seed = derive_seed(self.study_seed, "confirmation", number)
        return replace(contender.training, seed=seed)

    def _trained(
        self,
        contender: Contender,
        config: TrainingConfig,
        data: DeviceData,
        curve: list[CurvePoint],
    ) -> RetrievalModel:
        """A model trained on some rows; the epochs are added to the curve as they end."""

        def keep(epoch: int, metrics: Mapping[str, float]) -> None:
            curve.append(CurvePoint(epoch=epoch, timestamp_ms=_now_ms(), metrics=dict(metrics)))
            self.progress.advanced(epoch, metrics)
            if reason := self.stop_reason():
                raise KeyboardInterrupt(reason)

        model, _ = train_new(contender.model, data, config, on_epoch=keep)
        return model

    @cached_property
    def _train_only(self) -> DeviceData:
        return DeviceData(self.data.training(self.data.splits.train))

    @cached_property
    def _to_validate(self) -> DeviceData:
        return DeviceData(self.data.of_trials)

    @cached_property
    def _all_but_test(self) -> DeviceData:
        return DeviceData(self.data.training(self.data.splits.before_test))


def worth_of_test(spec: StudySpec, data: StudyData, metric: str, sample: Sample) -> Confirmed:
    """What a model is worth by a metric of the test rows, over the seeds of its configuration."""
    return Confirmed(
        mean=sample.mean,
        deviation=sample.deviation,
        seeds=len(sample.values),
        users=sample.users,
        data_fingerprint=data.dataset.fingerprint,
        split=spec.data.split_name,
        metric=metric,
        trained_until=int(data.splits.before_test.timestamp.max()),
    )


def chance_of(data: StudyData) -> float:
    """The objective of a random order, in 0..1; of lists, what one has on the validation rows."""
    dataset, splits, judge = data.dataset, data.splits, data.judge
    items = dataset.movies.rows
    if not judge.metrics:
        return chance_accuracy(ModelConfig().retrieval_k, items - dataset.reserved)
    rng = np.random.default_rng(0)

    def score(users: IntArray) -> FloatArray:
        return rng.random((len(users), items), np.float32)

    found = judge(score, splits.train, splits.validation, items)
    assert isinstance(found, ListMetrics)
    return found.objective


def _folder_name(contender: Contender) -> str:
    return results.confirmed_folder(contender.key, contender.training.epochs)


def _now_ms() -> int:
    return round(time.time() * 1000)
