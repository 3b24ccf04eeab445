"""A study's facts as the JSON of :mod:`search.report.schema`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from search.noise import Sample
from search.report.facts import Facts
from search.report.pareto import parameter_count
from search.report.schema import (
    SCHEMA_VERSION,
    BestPart,
    ConfirmationPart,
    ConfirmedPart,
    ContenderPart,
    CostPart,
    DataPart,
    ReferencePart,
    Report,
    SamplePart,
    StudyPart,
    TestedPart,
    TrialPart,
)
from search.trials import TrialRecord, TrialState
from search.verdict import Leader


def document(facts: Facts) -> Report:
    """The report, whole."""
    states = [trial.state for trial in facts.trials]
    return Report(
        schema_version=SCHEMA_VERSION,
        written_at=_iso(facts.written_ms),
        study=_study(facts),
        trials={state: states.count(state) for state in get_args(TrialState)},
        best=None if facts.best is None else BestPart(**_common(facts.best)),
        confirmed=_confirmed(facts.leader),
        leaderboard=[_trial(rank, trial) for rank, trial in enumerate(facts.finished, start=1)],
        references=[
            ReferencePart(name=each.name, metrics=dict(each.metrics)) for each in facts.references
        ],
        confirmation=_confirmation(facts),
        test=_samples(facts.tests) or None,
        tested=[
            TestedPart(trial=each.trial, metrics=_samples(each.metrics)) for each in facts.tested
        ],
        importances=None if facts.importances is None else dict(facts.importances),
        cost=_cost(facts),
        warnings=list(facts.cautions),
        verdict=list(facts.verdict),
    )


def _study(facts: Facts) -> StudyPart:
    context = facts.context
    return StudyPart(
        name=context.name,
        description=facts.spec.study.description,
        state=facts.state,
        seed=context.seed,
        wanted_trials=context.trials,
        data=DataPart(
            dataset=context.data_name,
            split=context.split,
            fingerprint=context.data_fingerprint or None,
            source=context.data_source or None,
            rows=dict(context.rows) or None,
        ),
        space_hash=context.space_hash,
        git_commit=context.git_commit,
        versions=dict(context.versions) or None,
    )


def _common(trial: TrialRecord) -> dict[str, Any]:
    return {
        "number": trial.number,
        "value": trial.value,
        "parameters": dict(trial.parameters),
        "layer_sizes": trial.layer_sizes,
        "parameter_count": parameter_count(trial),
        "best_epoch": trial.best_epoch,
    }


def _trial(rank: int, trial: TrialRecord) -> TrialPart:
    return TrialPart.model_validate(
        {
            **_common(trial),
            "rank": rank,
            "state": trial.state,
            "reason": trial.reason,
            "reference": trial.reference,
            "pruned_at_epoch": trial.pruned_at_epoch,
            "train_seconds": trial.train_seconds,
        }
    )


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "mean": sample.mean,
        "standard_deviation": sample.deviation,
        "values": list(sample.values),
        "collapsed": sample.collapsed,
    }


def _samples(samples: Mapping[str, Sample]) -> dict[str, SamplePart]:
    return {name: SamplePart(**_sample(each)) for name, each in samples.items()}


def _confirmed(leader: Leader | None) -> ConfirmedPart | None:
    if leader is None:
        return None
    return ConfirmedPart(
        number=leader.number, is_unstable=leader.is_unstable, **_sample(leader.sample)
    )


def _confirmation(facts: Facts) -> ConfirmationPart | None:
    last = facts.confirmation
    if last is None and not facts.contenders:
        return None
    contenders = [
        ContenderPart(
            name=each.name,
            trial=each.trial,
            epochs=each.epochs,
            value_of_search=each.value_of_search,
            **_sample(each.sample),
        )
        for each in facts.contenders
    ]
    return ConfirmationPart(
        winner=None if last is None else last.trial,
        confirmed_at=None if last is None else _iso(last.confirmed_ms),
        contenders=contenders,
        verdict=[] if last is None else list(last.lines),
        newer_trials=len(facts.leader.newer) if facts.leader else 0,
    )


def _cost(facts: Facts) -> CostPart:
    cost = facts.cost
    return CostPart(
        train_seconds=cost.train_seconds,
        wall_seconds=cost.wall_seconds,
        trained_epochs=cost.trained_epochs,
        saved_epochs=cost.saved_epochs,
        saved_seconds=cost.saved_seconds,
        diverged_seconds=cost.diverged_seconds,
        saved_share=cost.saved_share,
        confirmation_seconds=cost.confirmation_seconds,
    )


def _iso(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="seconds")
