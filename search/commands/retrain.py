"""The confirmation: which of the best trials holds over several seeds, and what it is worth."""

import time
from collections.abc import Sequence

from rich.text import Text

from deeprec.config import INDEX_FROM
from search.analysis.verdict import Evidence
from search.confirmation import comparison
from search.confirmation.comparison import Confirmation, Tested, Validated
from search.confirmation.measuring import (
    Confirming,
    Contender,
    chosen_trials,
    contender_of,
    reference_contender,
    worth_of_test,
)
from search.confirmation.references import References, slice_users
from search.display.confirmation_view import ConfirmationProgress
from search.execution.data import StudyData
from search.execution.objective import set_libraries_aside
from search.execution.processes import StopRequest
from search.records.errors import Interrupted, SearchFailedError
from search.records.results import ConfirmationRecord, ReferenceRecord
from search.records.trials import short_measure
from search.report.writing import refresh_report
from search.scheduling.locks import sole_holder
from search.session.session import Session, check_tracking, tracker_of
from search.storage.results import Ledger, keep_confirmation
from search.storage.study import close_study, refuse_other_study, settle_code
from search.storage.trials import records
from search.tracking.models import Published
from search.tracking.tracker import Tracker

GOES_ON = (
    "The confirmation goes on without it; the same command adds what is missing there once it "
    "answers, and computes nothing twice"
)


def retrain(
    session: Session,
    *,
    trial_number: int | None,
    top: int | None,
    seeds: int,
    promote: bool | None = None,
    index_from: int = INDEX_FROM,
) -> Confirmation:
    """Confirms the best trials, tests the winner once a seed, and says what came of it.

    ``trial_number`` is the only trial to confirm; else the ``top`` best compete, or those of the
    Pareto front, see :func:`search.confirmation.measuring.chosen_trials`. ``promote`` is
    None to compare the model with the champion. Its recommender gets an index where there are at
    least ``index_from`` items.

    Raises:
        InputError: there is no such trial, it did not finish, or the study cannot be used.
        Interrupted: a signal stopped it; the same command goes on from there.
        SearchFailedError: no contender is stable.
    """
    session.screen.doing(f"opening study {session.spec.name}")
    study = session.load_study()
    spec = session.spec
    chosen = chosen_trials(records(study, spec.limits.given), trial_number, top, spec.objectives)
    data = session.load_data()
    refuse_other_study(study, session.spec, data.dataset.fingerprint)
    settle_code(study, session.spec)
    contenders = [contender_of(trial, study, session.spec) for trial in chosen]
    circuit = check_tracking(session, consequence=GOES_ON)
    tracker = tracker_of(session, study, circuit, data)
    ledger = Ledger(study)
    with (
        sole_holder(session.lock("confirm"), session.spec.name, "confirmed"),
        StopRequest(
            session.screen.notice,
            at_once=session.screen.abandon,
            owns_process=session.screen.owns_process,
        ) as stop,
    ):
        try:
            confirming, validated, tested = _confirmed(
                session, data, ledger, contenders, seeds, stop, index_from
            )
            references = _references(session, data, ledger, stop) if tested else []
        except KeyboardInterrupt as interrupt:
            session.screen.show(f"stopped: {interrupt}; the same command goes on from here")
            raise Interrupted(str(interrupt), stop.exit_code) from None
        if tested:
            confirmation = _concluded(session, data, tracker, ledger, validated, tested, references)
            evidence = _evidence(confirmation, confirming.chance)
            published = _publish(session, data, tracker, confirmation, evidence, promote)
        refresh_report(session, study, tracker)
        close_study(study)
    if not tested:
        raise _none_is_stable(session, validated)
    _show(session, confirmation)
    _show_next(session, confirmation, published)
    return confirmation


def _confirmed(
    session: Session,
    data: StudyData,
    ledger: Ledger,
    contenders: Sequence[Contender],
    seeds: int,
    stop: StopRequest,
    index_from: int,
) -> tuple[Confirming, Validated, Tested]:
    """All contenders, and the reference, are validated before the best stable one is tested."""
    competitors = [*contenders, reference_contender(session.spec)]
    epochs = {each.name: each.training.epochs for each in competitors}
    spec = session.spec
    measure = short_measure(spec.objective_metric)
    progress = ConfirmationProgress(session.screen, epochs, seeds, name=spec.name, measure=measure)
    confirming = Confirming(
        data=data,
        study_seed=session.spec.study.seed,
        ledger=ledger,
        towers_folder=session.towers_folder,
        progress=progress,
        index_from=index_from,
        stop_reason=lambda: stop.reason,
    )
    set_libraries_aside()
    with progress.shown():
        validated = tuple(
            (contender, confirming.validated(contender, seeds)) for contender in competitors
        )
        winner, sample = comparison.ranked(validated)[0]
        tested = range(seeds if sample.is_stable else 0)
        return confirming, validated, tuple(confirming.test(winner, number) for number in tested)


def _none_is_stable(session: Session, validated: Validated) -> SearchFailedError:
    """No contender can be the model, so the test rows are not looked at."""
    session.screen.print(comparison.validation_table(validated, session.spec.objectives))
    for line in comparison.unstable(validated):
        session.screen.print(Text(line))
    reason = "no contender is stable, so none was tested"
    session.screen.warn(f"{reason}; confirm more with --top, or another one with --trial")
    return SearchFailedError(reason)


def _evidence(confirmation: Confirmation, chance: float) -> Evidence:
    reference, of_reference = confirmation.reference
    is_reference = confirmation.winner.is_same_configuration(reference)
    not_beaten = confirmation.not_beaten.get(confirmation.test_objective, [])
    return Evidence(
        collapsed=sum(record.collapsed is not None for record, _ in confirmation.tested),
        trainings=confirmation.winner_validation.seeds + len(confirmation.tested),
        chance=chance,
        validation=confirmation.winner_validation,
        reference=None if is_reference else of_reference,
        reference_name=reference.name,
        not_beaten=[comparison.reference_name(name) for name in not_beaten],
    )


def _references(
    session: Session, data: StudyData, ledger: Ledger, stop: StopRequest
) -> list[ReferenceRecord]:
    """The references on the validation and the test rows; KeyboardInterrupt where it is stopped."""
    references = References(
        data=data,
        ledger=ledger,
        announce=session.screen.announce,
        stop_reason=lambda: stop.reason,
    )
    return references.measured(test=True)


def _concluded(
    session: Session,
    data: StudyData,
    tracker: Tracker,
    ledger: Ledger,
    validated: Validated,
    tested: Tested,
    references: Sequence[ReferenceRecord],
) -> Confirmation:
    """What the confirmation found, beside the references; kept with the study, and tracked."""
    confirmation = Confirmation(
        validated=validated,
        tested=tested,
        references=references,
        objectives=session.spec.objectives,
        slice_users=slice_users(data, ledger),
    )
    session.screen.doing("logging the confirmation in MLflow")
    for record, towers in tested[1:]:
        tracker.log_retrain(record, towers)
    tracker.log_references(references)
    assert confirmation.winner.trial is not None
    found = ConfirmationRecord(
        trial=confirmation.winner.trial.number,
        name=confirmation.winner.name,
        metrics=confirmation.metrics,
        lines=tuple(comparison.verdict(confirmation)),
        confirmed_ms=round(time.time() * 1000),
        differences=tuple(confirmation.differences),
    )
    keep_confirmation(ledger, found)
    tracker.log_confirmation(found)
    return confirmation


def _publish(
    session: Session,
    data: StudyData,
    tracker: Tracker,
    confirmation: Confirmation,
    evidence: Evidence,
    promote: bool | None,
) -> Published | None:
    """The model of the first seed, in MLflow's registry with what all seeds say it is worth."""
    record, folder = confirmation.tested[0]
    run_id = tracker.log_retrain(record, folder)
    if record.collapsed:
        session.screen.warn("no model is registered: the training of the first seed collapsed")
    if run_id is None or folder is None:
        return None
    sample = confirmation.test[confirmation.test_objective]
    worth = worth_of_test(session.spec, data, confirmation.test_objective, sample)
    return tracker.publish(run_id, folder, worth, evidence, choice=promote)


def _show(session: Session, confirmation: Confirmation) -> None:
    session.screen.print(
        comparison.validation_table(confirmation.validated, confirmation.objectives)
    )
    session.screen.print(comparison.results_table(confirmation))
    for line in comparison.verdict(confirmation):
        session.screen.print(Text(line))


def _show_next(session: Session, confirmation: Confirmation, published: Published | None) -> None:
    if published is not None:
        session.screen.show(published.words)
    session.screen.show("")
    if confirmation.towers is not None:
        session.screen.show(f"model:     {confirmation.towers}")
        model = published.for_flag if published is not None else confirmation.towers
        session.screen.show(f"recommend: {session.commands().recommend_by(model)}")
    session.screen.show(f"compare:   {session.commands().compare}")
