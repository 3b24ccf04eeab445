"""A refresh: the champion's configuration on newer data, beside the champion on the newest rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna
from rich import box
from rich.table import Table

from deeprec.config import INDEX_FROM
from deeprec.evaluation.ranking import ListMetrics
from search.analysis.noise import Sample
from search.analysis.verdict import Evidence
from search.commands.recommend import fetched
from search.confirmation.measuring import (
    Confirming,
    Contender,
    chosen_trials,
    contender_of,
    worth_of_test,
)
from search.display.confirmation_view import ConfirmationProgress
from search.execution.data import StudyData
from search.execution.objective import set_libraries_aside
from search.execution.processes import StopRequest
from search.records.errors import InputError, Interrupted
from search.records.results import RetrainRecord, texts_of
from search.records.trials import measure_words, short_measure
from search.scheduling.locks import sole_holder
from search.session.session import Session, check_tracking, tracker_of
from search.storage.results import Ledger
from search.storage.study import close_study, settle_code
from search.storage.trials import records
from search.tracking.models import ModelVersion, Published, present_champion
from search.tracking.names import EPOCHS, SOURCE_TRIAL, STUDY
from search.tracking.tracker import Tracker

GOES_ON = "The refresh goes on without it; the same command adds what is missing there"


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """The champion's configuration trained on newer data, and the champion, on the newest rows."""

    champion: ModelVersion  # what it is worth is measured on the newest rows
    records: Sequence[RetrainRecord]  # the new trainings, a seed each
    sample: Sample  # their values of the objective
    published: Published | None  # None where MLflow failed, or the first training collapsed


def refresh(
    session: Session, *, seeds: int, promote: bool | None = None, index_from: int = INDEX_FROM
) -> Refreshed:
    """Trains the champion's configuration on the study's newer data, and promotes what is better.

    The new trainings learn all rows before the test part of the newer data, which the champion has
    not seen either; both are measured there, the champion as it is. What was trained is kept with
    the study, by the data's fingerprint.

    Raises:
        InputError: there is no champion of this study, or its data has nothing newer to test on.
        Interrupted: a signal stopped it; the same command goes on from there.
    """
    spec = session.spec
    if not (spec.is_own_data and spec.data.split_name == "time"):
        raise InputError(
            "--since-champion needs test rows that are newer than all that was trained on: a study "
            f"of data of its own, divided by time; {spec.name} is of {spec.data.name}, divided by "
            f"{spec.data.split_name}"
        )
    study = session.load_study()
    settle_code(study, spec)
    session.screen.doing("looking for the champion")
    uri, mlruns = session.flags.tracking_uri, session.workspace.mlruns
    champion = present_champion(uri, spec.registered_model, folder=mlruns)
    data = session.load_data()
    _check_newer(champion, session, data)
    contender = _contender(champion, session, study, data)
    tracker = tracker_of(session, study, check_tracking(session, consequence=GOES_ON), data)
    champion = _measured(champion, session, data)
    ledger = Ledger(study, f"refresh:{data.dataset.fingerprint}:")
    with sole_holder(session.lock("confirm"), spec.name, "confirmed"):
        chance, tested = _trained(session, data, ledger, contender, seeds, index_from)
        found = _published(session, data, tracker, champion, chance, tested, promote)
        close_study(study)
    _show(session, found, contender)
    return found


def _contender(
    champion: ModelVersion, session: Session, study: optuna.Study, data: StudyData
) -> Contender:
    """The champion's configuration; what comes of it on these data has a name of its own."""
    spec = session.spec
    number = int(champion.made_by[SOURCE_TRIAL])
    [trial] = chosen_trials(records(study, spec.limits.given), number)
    found = contender_of(trial, study, spec)
    return replace(
        found,
        key=f"{found.key}-on-{data.dataset.fingerprint[:8]}",
        training=replace(found.training, epochs=int(champion.made_by[EPOCHS])),
    )


def _check_newer(champion: ModelVersion, session: Session, data: StudyData) -> None:
    """InputError unless the champion is of this study, and the test rows are newer than its own."""
    version = f"version {champion.version} of {session.spec.registered_model}"
    if champion.made_by.get(STUDY) != session.identity or SOURCE_TRIAL not in champion.made_by:
        raise InputError(
            f"the champion, {version}, was made by another study; name that one with --study, or "
            f"confirm this one: {session.commands().retrain}"
        )
    confirmed = champion.confirmed
    if confirmed.data_fingerprint == data.dataset.fingerprint:
        raise InputError(
            f"the champion, {version}, was tested on the very data that study "
            f"{session.spec.name} names; add newer rows to it first"
        )
    if confirmed.trained_until is None:
        raise InputError(
            f"the champion, {version}, does not say until when its rows go, as an earlier version "
            f"of this project made it; confirm it anew: {session.commands().retrain}"
        )
    first = int(data.splits.test.timestamp.min())
    if first <= confirmed.trained_until:
        raise InputError(
            f"the champion, {version}, was trained on rows until {_day(confirmed.trained_until)}, "
            f"and the test rows begin on {_day(first)} already; add more newer rows, or let the "
            "test part of [data.split] begin later"
        )


def _day(microseconds: int) -> str:
    return str(np.datetime64(microseconds, "us").astype("datetime64[s]")).replace("T", " ")


def _measured(champion: ModelVersion, session: Session, data: StudyData) -> ModelVersion:
    """The champion with what it is worth on the newest rows: one model, as it is."""
    uri, name, towers = (
        session.flags.tracking_uri,
        session.spec.registered_model,
        session.spec.model,
    )
    recommender = fetched(
        f"models:/{name}/{champion.version}",
        uri,
        session.workspace.mlruns,
        session.screen,
        trusted=[] if towers.towers is None else [towers.towers],
    )
    session.screen.doing("testing the champion on the newest rows")
    dataset, splits = data.dataset, data.splits
    found = data.judge.of_test(
        recommender.scores_for(dataset.user_ids, dataset.movie_ids),
        splits.before_test,
        splits.test,
        dataset.movies.rows,
    )
    assert isinstance(found, ListMetrics), "data of one's own is judged by lists"
    metric = champion.confirmed.metric
    users = texts_of(found.by_user, "test").get(metric)
    worth = replace(
        champion.confirmed,
        mean=found.named("test")[metric],
        deviation=None,
        seeds=0,
        users=Sample.of([0.0], [users]).users,
        data_fingerprint=dataset.fingerprint,
    )
    return replace(champion, confirmed=worth)


def _trained(
    session: Session,
    data: StudyData,
    ledger: Ledger,
    contender: Contender,
    seeds: int,
    index_from: int,
) -> tuple[float, list[tuple[RetrainRecord, Path | None]]]:
    """The objective of a random order, and the trainings with every seed, each tested once."""
    spec, screen = session.spec, session.screen
    progress = ConfirmationProgress(
        screen,
        {contender.name: contender.training.epochs},
        seeds,
        name=spec.name,
        measure=short_measure(spec.objective_metric),
        tested=contender.name,
    )
    stop = StopRequest(screen.notice, at_once=screen.abandon, owns_process=screen.owns_process)
    with stop, progress.shown():
        confirming = Confirming(
            data=data,
            study_seed=spec.study.seed,
            ledger=ledger,
            towers_folder=session.towers_folder,
            progress=progress,
            index_from=index_from,
            stop_reason=lambda: stop.reason,
        )
        set_libraries_aside()
        try:
            tested = [confirming.test(contender, number) for number in range(seeds)]
        except KeyboardInterrupt as interrupt:
            screen.show(f"stopped: {interrupt}; the same command goes on from here")
            raise Interrupted(str(interrupt), stop.exit_code) from None
        kept = [(replace(record, is_refresh=True), towers) for record, towers in tested]
        return confirming.chance, kept


def _published(
    session: Session,
    data: StudyData,
    tracker: Tracker,
    champion: ModelVersion,
    chance: float,
    tested: Sequence[tuple[RetrainRecord, Path | None]],
    promote: bool | None,
) -> Refreshed:
    """The model of the first seed, registered with what all seeds say it is worth."""
    runs = [tracker.log_retrain(record, towers) for record, towers in tested]
    records, metric = [record for record, _ in tested], champion.confirmed.metric
    sample = Sample.of(
        [None if record.collapsed else record.metrics[metric] for record in records],
        [record.users.get(metric) for record in records],
    )
    run_id, folder, published = runs[0], tested[0][1], None
    if run_id is not None and folder is not None:
        published = tracker.publish(
            run_id,
            folder,
            worth_of_test(session.spec, data, metric, sample),
            Evidence(collapsed=sample.collapsed, trainings=len(records), chance=chance),
            choice=promote,
            against=champion,
        )
    return Refreshed(champion=champion, records=records, sample=sample, published=published)


def _show(session: Session, found: Refreshed, contender: Contender) -> None:
    screen, before = session.screen, found.champion.confirmed
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("newest rows")
    table.add_column(measure_words(before.metric.removeprefix("test_")), justify="right")
    table.add_row(f"the champion, version {found.champion.version}", f"{before.mean:.4f}")
    table.add_row(f"{contender.name}, trained anew", str(found.sample))
    screen.print(table)
    if found.records[0].collapsed:
        screen.warn("no model is registered: the training of the first seed collapsed")
    elif found.published is None:
        screen.warn("no model is registered; the same command does that once MLflow takes it")
    else:
        screen.show(found.published.words)
        screen.show(f"recommend: {session.commands().recommend_by(found.published.for_flag)}")
