"""What MLflow shows of a study beyond its trials, kept with the study: MLflow can be made again.

A search knows its data set; whoever makes MLflow agree with the study later need not have it.
"""

from collections.abc import Mapping
from typing import Any

import optuna

from search.spec import StudySpec
from search.tracking import StudyContext
from search.trials import StudyState, TrialRecord

DESCRIPTION, END = "description", "end"
"""Names of the study's attributes."""

_KEPT = ("trials", "data_source", "rows", "git_commit", "versions", "next_command")
"""What is kept of a context; the rest follows from the study and its file."""


def identity_in(study: optuna.Study) -> str:
    """What tells the study from others of its name; given by whoever created it."""
    return str(study.user_attrs.get("identity", ""))


def keep_description(study: optuna.Study, context: StudyContext) -> None:
    """Keeps what :func:`described` needs; written where it changed, such as ``--trials``."""
    description = {name: _plain(getattr(context, name)) for name in _KEPT}
    if study.user_attrs.get(DESCRIPTION) != description:
        study.set_user_attr(DESCRIPTION, description)


def keep_end(study: optuna.Study, state: StudyState) -> None:
    """Keeps how a search of the study ended."""
    if study.user_attrs.get(END) != state:
        study.set_user_attr(END, state)


def described(study: optuna.Study, spec: StudySpec) -> StudyContext:
    """The study's context, without its data set.

    Of a study that was last searched before descriptions were kept, the number of rows and the
    origin of the data are missing.

    Args:
        study: as it is stored.
        spec: its file.
    """
    attributes = study.user_attrs
    defaults: dict[str, Any] = {
        "trials": spec.study.trials,
        "data_source": "",
        "rows": {},
        "git_commit": None,
        "versions": {},
        "next_command": f"python -m search.retrain --study {spec.name}",
    }
    return StudyContext(
        name=spec.name,
        spec_text=spec.text,
        space_hash=spec.space_hash,
        seed=spec.study.seed,
        data_name=spec.data.dataset,
        data_fingerprint=attributes.get("data_fingerprint", ""),
        split=spec.data.split,
        identity=identity_in(study),
        **(defaults | attributes.get(DESCRIPTION, {})),
    )


def end_of(study: optuna.Study, trials: list[TrialRecord], budget: int) -> StudyState:
    """How the last search of the study ended; one that was killed was interrupted."""
    if sum(trial.is_finished for trial in trials) >= budget:
        return "complete"
    end: StudyState = study.user_attrs.get(END, "interrupted")
    return end


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
