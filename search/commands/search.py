"""Conducts a search: opens the study, lets everybody look on, and sums up at the end."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Literal

import optuna
from optuna.trial import FrozenTrial

from search.commands.sync import agree_after
from search.confirmation.references import are_measured, measured_references
from search.display.search_view import SearchProgress
from search.display.summary import print_summary
from search.display.tally import SearchTally
from search.execution.background import Background
from search.execution.loop import TrialLoop, lost
from search.execution.objective import Objective, set_libraries_aside
from search.execution.runtime import (
    available_cores,
    shared_accelerator,
    touch_device,
    worker_environment,
)
from search.execution.signals import StopRequest
from search.execution.supervisor import Supervisor
from search.execution.workers import Assignment, Pool
from search.records.errors import InputError, StorageLostError
from search.records.events import Hooks, Outcome, OutcomeState, to_all
from search.report.writing import refresh_report
from search.scheduling.heartbeat import Pulse
from search.scheduling.locks import within
from search.scheduling.presence import attending
from search.scheduling.samplers import make_pruner
from search.scheduling.stale import Closed, close_stale, everybody_gone, gone
from search.session.identity import identity_in, keep_description, settle_identity
from search.session.session import Session
from search.storage.results import Ledger, validation_accuracies
from search.storage.study import close_study, open_study
from search.storage.towers import remove_leftovers
from search.storage.trials import record_of, records
from search.tracking import Tracker
from search.tracking.circuit import Circuit

FAILED = 1

CLAIM_SECONDS = 30.0
"""How long a worker that was left over may hold its claim."""

_STUDY_STATES: Mapping[OutcomeState, Literal["complete", "interrupted", "failed"]] = {
    "complete": "complete",
    "exhausted": "complete",
    "timeout": "interrupted",
    "interrupted": "interrupted",
    "failing": "failed",
}


def conduct(session: Session, *, timeout_seconds: float | None = None) -> int:
    """Runs trials until the study has as many as its budget says, and prints the summary.

    Args:
        session: the study.
        timeout_seconds: no trial starts later than this.

    Returns:
        The exit code: 0 when the study has its trials or its time is over, 1 when trials keep
        failing, 128 plus the signal's number when it was interrupted.

    Raises:
        InputError: the study, the data or MLflow cannot be used; nothing was written.
    """
    session.check_writable()
    if session.workers > 1:
        _prepare_for_workers(session)
    touch_device()
    circuit = session.check_tracking()
    fingerprint = session.dataset.fingerprint  # loaded before anything is written
    session.workspace.studies.mkdir(parents=True, exist_ok=True)
    session.screen.doing(f"opening study {session.spec.name}")
    try:
        with _opened(session, fingerprint) as (study, stale):
            tracker = _tracker(session, study, circuit)
            outcome, exit_code = _run_trials(session, study, stale, tracker, timeout_seconds)
            trials = records(study)
            references = _references(session, study, tracker, outcome)
            facts = refresh_report(session, study, tracker)
            close_study(study)
    except StorageLostError as error:
        session.show(f"stopped: {lost(error, None).reason}")
        return FAILED
    print_summary(
        session.screen,
        trials,
        references=references,
        commands=facts.commands,
        cautions=facts.cautions,
        leader=facts.leader,
    )
    if outcome.state != "complete":
        finished = sum(trial.is_finished for trial in trials)
        budget = session.spec.study.trials
        session.show(f"\nstopped with {finished} of {budget} trials: {outcome.reason}")
    return FAILED if outcome.state == "failing" else exit_code


def _tracker(session: Session, study: optuna.Study, circuit: Circuit) -> Tracker:
    """The study in MLflow, under the identity it has; which whoever created it gave it."""
    settle_identity(study, session.storage_url, session.destination, session.announce)
    context = session.context(identity_in(study))
    keep_description(study, context)
    return session.open_tracker(context, circuit)


def _references(
    session: Session, study: optuna.Study, tracker: Tracker, outcome: Outcome
) -> Mapping[str, float]:
    """Validation accuracies of the references; a search that was stopped does not wait for them."""
    ledger = Ledger(study)
    if outcome.state in ("interrupted", "failing") and not are_measured(ledger):
        return {}
    found = measured_references(session, ledger, test=False)
    session.screen.doing("logging the references in MLflow")
    tracker.log_references(found)
    return validation_accuracies(found)


def _run_trials(
    session: Session,
    study: optuna.Study,
    stale: Sequence[Closed],
    tracker: Tracker,
    timeout_seconds: float | None,
) -> tuple[Outcome, int]:
    """Searches with everybody looking on; MLflow agrees with the study before and after."""
    spec = session.spec
    _announce_resumption(session, study, stale)
    tracker.reconcile_later(records(study), session.towers_of)
    budget, epochs = spec.study.trials, spec.training.epochs
    tally = SearchTally(budget, epochs, records(study), workers=session.workers)
    progress = SearchProgress(session.screen, tally, name=spec.name, places=session.places)

    def show_others(trials: Sequence[FrozenTrial]) -> None:
        progress.look(map(record_of, trials))

    with (
        Pool(worker_environment(session.workers, os.environ)) as pool,
        _stop_request(session, pool) as stop,
        Pulse(study, grace_seconds=session.grace_seconds, on_look=show_others) as pulse,
    ):
        session.patience.stop_reason = lambda: stop.reason
        with (
            Background(tracker.hear, session.warn, spare=tracker.work_off) as tracking,
            progress.shown(),
        ):
            hooks = Hooks(
                emit=to_all(tracking.hear, progress.hear),
                warn=session.warn,
                stop_reason=lambda: stop.reason,
            )
            deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
            if session.workers == 1:
                outcome = _search_here(session, study, pulse, hooks, deadline)
            else:
                outcome = _search_with_workers(session, study, pool, hooks, deadline)
            session.screen.doing("telling MLflow what is left to tell")
        session.screen.doing("comparing the study with MLflow")
        agree_after(session, study, tracker, _STUDY_STATES[outcome.state])
    return outcome, stop.exit_code


def _search_here(
    session: Session, study: optuna.Study, pulse: Pulse, hooks: Hooks, deadline: float | None
) -> Outcome:
    """Runs the trials in this process."""
    data = session.data.of_trials

    def make_objective() -> Objective:
        objective = Objective(session.spec, data, session.towers_folder, hooks)
        set_libraries_aside()
        return objective

    loop = TrialLoop(
        study=study,
        spec=session.spec,
        towers_folder=session.towers_folder,
        claim=session.claim(),
        pulse=pulse,
        make_objective=make_objective,
        hooks=hooks,
    )
    return loop.run(deadline=deadline)


def _search_with_workers(
    session: Session, study: optuna.Study, pool: Pool, hooks: Hooks, deadline: float | None
) -> Outcome:
    """Runs the trials in other processes, and looks after them."""
    assignment = Assignment(
        spec=session.spec,
        storage_url=session.storage_url,
        towers_folder=session.towers_folder,
        data_dir=session.data_dir,
        data_fingerprint=session.dataset.fingerprint,
        grace_seconds=session.grace_seconds,
        first_number=len(study.get_trials(deepcopy=False)),
        deadline=deadline,
    )
    return Supervisor(study, assignment, pool, session.claim(), hooks).run(session.workers)


def _stop_request(session: Session, pool: Pool) -> StopRequest:
    """Ctrl-C: once tidily; twice at once, which takes the workers along and frees the terminal."""

    def at_once() -> None:
        pool.kill()
        session.screen.abandon()

    return StopRequest(session.screen.notice, at_once=at_once)


def _prepare_for_workers(session: Session) -> None:
    cores = available_cores()
    if session.workers > cores:
        session.warn(
            f"{session.workers} workers share {cores} {'core' if cores == 1 else 'cores'}; "
            "more workers than cores are seldom faster"
        )
    for name, value in shared_accelerator().items():  # before this process touches the GPU
        os.environ.setdefault(name, value)


@contextmanager
def _opened(session: Session, fingerprint: str) -> Iterator[tuple[optuna.Study, Sequence[Closed]]]:
    """The study, opened or created, and the trials that processes before this one left behind.

    Whoever is alone with an SQLite study closes them at once. Elsewhere they are closed by whoever
    has seen no sign of life for the grace period.
    """
    claim = session.claim()
    with ExitStack() as attended:
        if not claim.take(within(CLAIM_SECONDS)):
            raise InputError(
                f"another process has been deciding for {CLAIM_SECONDS:g} s what study "
                f"{session.spec.name!r} runs next; if it was stopped, let it go on or end it"
            )
        try:
            is_alone = attended.enter_context(attending(session.storage_url))
            study = open_study(
                session.storage_url,
                session.spec,
                fingerprint,
                session.identity,
                patience=session.patience,
            )
            study.pruner = make_pruner(session.spec)
            if is_alone:
                remove_leftovers(session.towers_folder)
            is_gone = everybody_gone if is_alone else gone()
            stale = close_stale(study, is_gone, reason="the process that ran it was killed")
        finally:
            claim.release()
        yield study, stale


def _announce_resumption(session: Session, study: optuna.Study, stale: Sequence[Closed]) -> None:
    trials = records(study)
    budget = session.spec.study.trials
    finished = sum(trial.is_finished for trial in trials)
    for closed in stale:
        if closed.is_given_up:
            session.warn(closed.line)
        else:
            session.announce(
                f"a killed process left trial {closed.number} unfinished; it runs again first"
            )
    running = sum(trial.state == "running" for trial in trials)
    if finished >= budget:
        session.announce(
            f"nothing is missing: study {session.spec.name} has {finished} finished trials of "
            f"{budget}; to search on, give a larger --trials"
        )
    elif trials:
        others = f", {running} under way elsewhere" if running else ""
        session.announce(
            f"going on with study {session.spec.name}: {finished} of {budget} trials{others}"
        )
