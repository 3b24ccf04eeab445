"""What competes for being the model: the best trials of a study, and the tutorial's own model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import optuna

from deeprec.config import ModelConfig, TrainingConfig
from search.errors import InputError
from search.space import suggest
from search.spec import StudySpec
from search.trials import TrialRecord

TUTORIAL = "tutorial"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A configuration that is trained with several seeds.

    Attributes:
        key: what its results are kept under, such as ``trial-0012``.
        name: for people, such as ``trial 12 (64, 32)``.
        model: the architecture.
        training: how it is trained; for how many epochs is decided, the seed is not.
        trial: where it comes from; None for the tutorial's model.
    """

    key: str
    name: str
    model: ModelConfig
    training: TrainingConfig
    trial: TrialRecord | None


def chosen_trials(trials: Sequence[TrialRecord], number: int | None, top: int) -> list[TrialRecord]:
    """The trial with that number, or the best complete ones, best first.

    Args:
        trials: all of the study.
        number: of a finished trial; None for the best.
        top: how many of the best.

    Raises:
        InputError: there is none, or it did not finish.
    """
    if number is None:
        complete = [
            trial for trial in trials if trial.state == "complete" and trial.value is not None
        ]
        if not complete:
            raise InputError("the study has no complete trial yet; search it first")
        return sorted(complete, key=lambda trial: (-(trial.value or 0.0), trial.number))[:top]
    chosen = next((trial for trial in trials if trial.number == number), None)
    if chosen is None:
        known = f"0 to {trials[-1].number}" if trials else "none"
        raise InputError(f"--trial must be a trial of the study ({known}) but got {number}")
    if not chosen.is_finished or chosen.best_epoch is None:
        raise InputError(
            f"--trial must be a finished trial (complete or pruned) but trial {number} is "
            f"{chosen.state}" + (f" ({chosen.reason})" if chosen.reason else "")
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
        model=configuration.model_config(),
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
