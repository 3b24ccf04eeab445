"""Finished trials of other studies, which a new study begins with.

What is taken over are trials of the new study like all others: its sampler and pruner learn from
them, they count towards its trials, and one of them may be its best.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from deeprec.config import ModelConfig, TrainingConfig
from search.config.addresses import call, flag
from search.config.dimensions import DIMENSIONS, EXPONENT_SUFFIX
from search.config.sections import SpaceSection
from search.config.space import enqueued_configurations, suggest
from search.config.study import StudySpec, changed_code, code_of, differences
from search.records.errors import InputError
from search.records.trials import counted
from search.storage import attributes
from search.storage.database import Database
from search.storage.study import close_study, load_study

KEPT = (
    attributes.CURVE,
    attributes.DERIVED,
    attributes.COMPUTED_ON,
    attributes.COSTS,
    attributes.TRAIN_SECONDS,
    attributes.RESUMED_AFTER,
    attributes.DIVERGED,
    attributes.REASON,
)
"""What is stored of a trial that was taken over, beside what every trial of Optuna has."""

UNSAID = {
    field.name: field.default
    for config in (ModelConfig, TrainingConfig)
    for field in fields(config)
}
"""The value of a dimension in a study whose space does not vary it."""

BY_PARAMETER = {each.parameter: each for each in DIMENSIONS}

Sources = Mapping[str, optuna.Study]


@contextmanager
def opened_sources(database: Database, spec: StudySpec, fingerprint: str) -> Iterator[Sources]:
    """The studies that ``[warm_start]`` names, whose trials mean what those of this one mean.

    Each lies in the same database or, with SQLite, in a file beside it.

    Raises:
        InputError: one is not there, or its trials cannot be compared.
    """
    found: dict[str, optuna.Study] = {}
    try:
        for name in spec.warm_start.studies:
            path = database.path
            where = database if path is None else Database.in_folder(path.parent, name)
            found[name] = load_study(where, name, make=call("search.run", flag("--study", name)))
            if why := _refusal(found[name], spec, fingerprint):
                raise InputError(
                    f"no trial of study {name!r} can be taken over: {why}; undo the change, or "
                    "take over nothing from it"
                )
        yield found
    finally:
        for study in found.values():
            close_study(study)


def _refusal(source: optuna.Study, spec: StudySpec, fingerprint: str) -> str | None:
    """Why its values are not those of this study; the space and the seed may be others."""
    theirs = source.user_attrs.get(attributes.COMPARABLE)
    if theirs is None:
        return "it bears no mark of a search"
    found = differences(_meaning(theirs), _meaning(spec.comparable))
    if source.user_attrs.get(attributes.DATA_FINGERPRINT) != fingerprint:
        found.append("the prepared data set (or a library that prepared it) is another")
    found += changed_code(source.user_attrs.get(attributes.CODE, {}), code_of(spec))
    return "; ".join(found) or None


def _meaning(comparable: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in comparable.items() if key != "space"}


def take_over(study: optuna.Study, spec: StudySpec, sources: Sources) -> list[tuple[str, str]]:
    """Adds what a study that has run no trial yet has not taken over; the claim is held.

    Returns:
        The name of each source that something was taken over from, or nothing was the first time,
        and in words how much, and what was left out and why.
    """
    held = {
        trial.user_attrs.get(attributes.TAKEN_OVER) for trial in study.get_trials(deepcopy=False)
    }
    lines = []
    for name, source in sources.items():
        left_out: Counter[str] = Counter()
        count = 0
        for trial in source.get_trials(deepcopy=False):
            origin = f"{name}/{trial.number}"
            if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED) or origin in held:
                continue
            if not _was_trained(trial):
                left_out["not trained, as above a limit there"] += 1
                continue
            try:
                study.add_trial(_as_own(trial, spec, origin))
                count += 1
            except _Outside as outside:
                left_out[str(outside)] += 1
        reasons = ", ".join(f"{number} {why}" for why, number in left_out.items())
        if count or not held:
            found = counted(count, "trial") + (f"; left out: {reasons}" if reasons else "")
            lines.append((name, found))
    return lines


def _was_trained(trial: FrozenTrial) -> bool:
    """Whether a finished trial has anything to say; one that a limit spared a training has not."""
    is_complete = trial.state == TrialState.COMPLETE
    return is_complete or bool(
        trial.intermediate_values or trial.user_attrs.get(attributes.DIVERGED)
    )


class _Outside(Exception):  # noqa: N818  (it never leaves this module)
    """The space of the study does not hold the configuration of a trial."""


def _as_own(trial: FrozenTrial, spec: StudySpec, origin: str) -> FrozenTrial:
    """The trial as one of the study, in whose space its parameters have other ranges."""
    fixed = _placed(trial.params, spec.space)
    noted = {name: trial.user_attrs[name] for name in KEPT if name in trial.user_attrs}
    reference = trial.user_attrs.get(attributes.REFERENCE)
    configuration = suggest(FixedTrial(dict(fixed.params)), spec.space)
    if (reference, configuration) in enqueued_configurations(spec).items():
        noted[attributes.REFERENCE] = reference
    own = optuna.trial.create_trial(
        state=trial.state,
        values=trial.values,
        params=fixed.params,
        distributions=fixed.distributions,
        user_attrs={attributes.TAKEN_OVER: origin, **noted},
        intermediate_values=trial.intermediate_values,
    )
    own.datetime_start, own.datetime_complete = trial.datetime_start, trial.datetime_complete
    return own


def _placed(parameters: Mapping[str, Any], space: SpaceSection) -> FixedTrial:
    """The parameters, asked for as the space does; what it does not vary must be as unsaid.

    Raises:
        _Outside: the space does not hold them.
    """
    unsaid = BY_PARAMETER.keys() - parameters.keys()
    added = {
        each.parameter: each.encode(UNSAID[each.name])
        for each, values in space.varied
        if each.parameter in unsaid and values.contains(UNSAID[each.name])
    }
    fixed = FixedTrial({**parameters, **added})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # how Optuna says that one is out of range
        try:
            suggest(fixed, space)
        except UserWarning as error:
            raise _Outside(f"outside of {_key(str(error).split(chr(39))[1])}") from error
        except ValueError as error:
            raise _Outside("without a value of a dimension of the space") from error
    for name in parameters.keys() - fixed.params.keys():
        each = BY_PARAMETER.get(name)
        if each is None or each.decode(parameters[name]) != UNSAID[each.name]:
            raise _Outside(f"with another {each.name if each else name} than the study has")
    return fixed


def _key(parameter: str) -> str:
    """The key of the study file that a parameter belongs to."""
    if parameter.endswith(f"_width{EXPONENT_SUFFIX}"):
        return "space.width"
    each = BY_PARAMETER.get(parameter)
    return f"space.{each.name if each else parameter}"
