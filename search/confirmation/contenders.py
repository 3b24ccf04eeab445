"""What competes for being the model: the best configurations of a study, and its reference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import optuna

from deeprec.config import ModelConfig, TrainingConfig
from search.config.sections import DataSection
from search.config.space import (
    Configuration,
    enqueued_configurations,
    list_metrics_of,
    suggest,
)
from search.config.study import StudySpec
from search.records.errors import InputError
from search.records.trials import TUTORIAL_OBJECTIVE, TrialRecord, front_of, ranked

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
