"""Conducts a search: opens the study, runs the trials, shown and tracked, and sums up."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial

from search.analysis.noise import Estimate
from search.analysis.verdict import validated_references
from search.commands.sync import agree_after
from search.confirmation.references import BesideSearch, References
from search.display.search_view import SearchProgress, print_summary
from search.display.tally import SearchTally
from search.execution.cluster import ClusterPool, fitting, require_ray
from search.execution.data import StudyData
from search.execution.loop import TrialLoop, lost
from search.execution.objective import Objective, set_libraries_aside
from search.execution.processes import StopRequest
from search.execution.runtime import (
    CARDS,
    available_cores,
    card_environments,
    shared_accelerator,
    touch_device,
    workers_that_pay,
)
from search.execution.supervisor import Supervisor
from search.execution.workers import Assignment, LocalPool, Pool
from search.records.errors import (
    InputError,
    Interrupted,
    SearchFailedError,
    StorageLostError,
)
from search.records.events import (
    Hooks,
    Outcome,
    OutcomeState,
    TrialEvent,
    TrialFinished,
    to_all,
)
from search.records.trials import counted
from search.report.writing import refresh_report
from search.scheduling.heartbeat import Closed, Pulse, all_stale, close_stale, stale_if
from search.scheduling.locks import attending, within
from search.scheduling.next_trial import stall_of
from search.scheduling.samplers import make_pruner
from search.session.session import Session, check_tracking, tracker_of
from search.storage.attributes import TAKEN_OVER
from search.storage.files import check_shared, remove_checkpoints, remove_leftovers
from search.storage.results import Ledger, kept_references
from search.storage.reuse import opened_sources, take_over
from search.storage.study import close_study, open_study, settle_code
from search.storage.trials import record_of, records
from search.tracking.circuit import Background
from search.tracking.tracker import Tracker

CLAIM_SECONDS = 30.0  # how long a worker of a search that ended may hold its claim

_STUDY_STATES: Mapping[OutcomeState, Literal["complete", "interrupted", "failed"]] = {
    "complete": "complete",
    "exhausted": "complete",
    "stalled": "complete",
    "timeout": "interrupted",
    "interrupted": "interrupted",
    "failing": "failed",
}


def conduct(
    session: Session, *, timeout_seconds: float | None = None, accept_code: bool = False
) -> Outcome:
    """Runs trials until the study has as many as its budget says, and prints the summary.

    Where the code of its parts is not what it was, ``accept_code`` goes on with it.

    Raises:
        InputError: the study, the data or MLflow cannot be used; nothing was written.
        Interrupted: a signal stopped it.
        SearchFailedError: trials keep failing, or the study's database is lost.
    """
    session.check_writable()
    session = _placed(session)
    touch_device()
    circuit = check_tracking(session)
    data = session.load_data()  # before anything is written
    if not session.is_known:
        with opened_sources(session.database, session.spec, data.dataset.fingerprint):
            pass
    session.workspace.studies.mkdir(parents=True, exist_ok=True)
    session.screen.doing(f"opening study {session.spec.name}")
    try:
        with _opened(session, data.dataset.fingerprint, accept_code) as (study, stale):
            _announce_resumption(session, study, stale)
            tracker = tracker_of(session, study, circuit, data, is_search=True)
            outcome, exit_code = _run_trials(session, study, data, tracker, timeout_seconds)
            trials = records(study, session.spec.limits.given)
            references = _references(session, study, data, tracker, outcome)
            facts = refresh_report(session, study, tracker)
            close_study(study)
    except StorageLostError as error:
        reason = lost(error, None).reason
        session.screen.show(f"stopped: {reason}")
        raise SearchFailedError(reason) from error
    print_summary(
        session.screen,
        trials,
        references=references,
        commands=facts.commands,
        cautions=facts.cautions,
        lost=facts.mostly_lost,
        leader=facts.leader,
        objectives=session.spec.objectives,
        saved=facts.saved_by_patience,
    )
    if outcome.state != "complete":
        finished = sum(trial.is_finished for trial in trials)
        budget = session.spec.study.trials
        session.screen.show(f"\nstopped with {finished} of {budget} trials: {outcome.reason}")
    if outcome.state == "stalled":
        session.screen.show("a number of --trials given by hand is searched to its end")
    if outcome.state == "failing":
        raise SearchFailedError(outcome.reason)
    if exit_code:
        raise Interrupted(outcome.reason, exit_code)
    return outcome


def _references(
    session: Session, study: optuna.Study, data: StudyData, tracker: Tracker, outcome: Outcome
) -> Mapping[str, Estimate]:
    """Validation results of the references; a search that was stopped does not wait for them."""
    ledger = Ledger(study)
    if outcome.state in ("interrupted", "failing"):
        found = kept_references(ledger, test=False)
    else:
        references = References(data=data, ledger=ledger, announce=session.screen.announce)
        found = references.measured(test=False, costly=False)
    session.screen.doing("logging the references in MLflow")
    tracker.log_references(found)
    return validated_references(found)


def _run_trials(
    session: Session,
    study: optuna.Study,
    data: StudyData,
    tracker: Tracker,
    timeout_seconds: float | None,
) -> tuple[Outcome, int]:
    """Searches, shown and tracked; MLflow agrees with the study before and after."""
    spec, screen, shared = session.spec, session.screen, session.shared
    workers = session.flags.workers or 1
    if shared is not None:
        shared.bring_home(session.towers_folder, records(study), screen.warn)
    trials = records(study, spec.limits.given)
    tracker.reconcile_later(trials, session.towers_of)
    remove_checkpoints(session.towers_folder, trials)
    budget, epochs = spec.study.trials, spec.training.epochs
    tally = SearchTally(budget, epochs, trials, workers=workers)
    progress = SearchProgress(screen, tally, name=spec.name, places=places_of(session))

    def show_others(trials: Sequence[FrozenTrial]) -> None:
        progress.look(record_of(trial, spec.limits.given) for trial in trials)

    def remove_checkpoint(event: TrialEvent) -> None:
        if isinstance(event, TrialFinished):
            remove_checkpoints(session.towers_folder, [event.trial])

    def track(event: TrialEvent) -> None:
        tracker.hear(shared.brought(event, session.towers_folder) if shared else event)

    with (
        _pool(session) as pool,
        _stop_request(session, pool) as stop,
        Pulse(study, grace_seconds=session.flags.grace_seconds, on_look=show_others) as pulse,
    ):
        session.patience.stop_reason = lambda: stop.reason
        with (
            Background(track, screen.warn, spare=tracker.work_off) as tracking,
            progress.shown(),
        ):
            hooks = Hooks(
                emit=to_all(tracking.hear, progress.hear, remove_checkpoint),
                warn=screen.warn,
                stop_reason=lambda: stop.reason,
            )
            if shared is not None:
                hooks = replace(hooks, keep=shared.keep, fetch=shared.fetch)
            deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
            assignment = _assignment(session, study, data, deadline)
            with _beside(session, study, data, assignment):
                if pool is None:
                    loop = _loop(session, study, data, pulse, hooks)
                    outcome = loop.run(deadline=deadline)
                else:
                    supervisor = Supervisor(study, assignment, pool, session.claim(), hooks)
                    outcome = supervisor.run(workers)
            screen.doing("telling MLflow what is left to tell")
        if shared is not None:
            shared.bring_home(session.towers_folder, records(study), screen.warn)
        screen.doing("comparing the study with MLflow")
        agree_after(session, study, tracker, _STUDY_STATES[outcome.state])
    return outcome, stop.exit_code


def places_of(session: Session) -> Mapping[str, str]:
    """Where everything is written, by what it is; short, and without secrets."""
    here = f"{session.workspace.folder}/"
    places = {
        "study": session.database.shown.replace(f"sqlite:///{here}", ""),
        "towers": f"{session.towers_folder}/",
        "MLflow": session.destination.shown.replace(f"sqlite:///{here}", ""),
    }
    return {what: place.removeprefix(here) for what, place in places.items()}


def _loop(
    session: Session, study: optuna.Study, data: StudyData, pulse: Pulse, hooks: Hooks
) -> TrialLoop:
    def make_objective() -> Objective:
        objective = Objective(session.spec, data.of_trials, session.towers_folder, hooks)
        set_libraries_aside()
        return objective

    return TrialLoop(
        study=study,
        spec=session.spec,
        towers_folder=session.towers_folder,
        claim=session.claim(),
        pulse=pulse,
        make_objective=make_objective,
        hooks=hooks,
    )


def _beside(
    session: Session, study: optuna.Study, data: StudyData, assignment: Assignment
) -> BesideSearch:
    """Measures references while the trials run; what is left out is said at the end."""
    references = References(data=data, ledger=Ledger(study), announce=lambda _line: None)
    return BesideSearch(references, assignment, session.lock("references"), session.screen.warn)


def _assignment(
    session: Session, study: optuna.Study, data: StudyData, deadline: float | None
) -> Assignment:
    """What other processes are told of the study."""
    return Assignment(
        spec=session.spec,
        database=session.database,
        towers_folder=session.towers_folder,
        data_dir=session.flags.data_dir,
        data_fingerprint=data.dataset.fingerprint,
        grace_seconds=session.flags.grace_seconds,
        first_number=len(study.get_trials(deepcopy=False)),
        deadline=deadline,
        shared=session.shared,
    )


def _pool(session: Session) -> AbstractContextManager[Pool[Any] | None]:
    """The workers that run trials; None where this process runs them."""
    placement, workers = session.flags.placement, session.flags.workers or 1
    if placement.cluster is not None:
        return ClusterPool(placement, os.environ)
    if workers == 1 and not placement.cards:
        return nullcontext()
    return LocalPool(card_environments(placement, workers, os.environ))


def _stop_request(session: Session, pool: Pool[Any] | None) -> StopRequest:
    """Ctrl-C: once tidily; twice at once, which takes the workers along and frees the terminal."""

    def at_once() -> None:
        if pool is not None:
            pool.kill()
        session.screen.abandon()

    screen = session.screen
    return StopRequest(screen.notice, at_once=at_once, owns_process=screen.owns_process)


def _placed(session: Session) -> Session:
    """The session with the number of its workers, once all that was said of them is checked."""
    placement, workers = session.flags.placement, session.flags.workers
    if placement.cluster is not None:
        require_ray()
    if placement.is_remote:
        _check_reachable(session)
    if (shared := session.shared) is not None:
        check_shared(shared)
    if workers is None:
        session.screen.doing("counting the workers that pay")
        workers = fitting(placement) if placement.cluster else workers_that_pay(placement)
        session.screen.announce(f"{counted(workers, 'worker')}")
    if placement.cards and workers > (shares := len(placement.cards) * placement.per_card):
        raise InputError(
            f"--workers must be at most {shares} where --gpus and --per-gpu have so many shares of "
            f"a card but got {workers}; give a larger --per-gpu"
        )
    if placement.cards:
        os.environ[CARDS] = ",".join(placement.cards)
    if workers > 1 and placement.cluster is None:
        _warn_of_cores(session, workers)
    if workers > 1 or placement.cards:  # before this process touches the GPU
        for name, value in shared_accelerator().items():
            os.environ.setdefault(name, value)
    return replace(session, flags=replace(session.flags, workers=workers))


def _check_reachable(session: Session) -> None:
    """InputError unless workers on other machines would find database and files."""
    if session.database.path is not None:
        raise InputError(
            f"--cluster {session.flags.placement.cluster} needs a study in PostgreSQL, which "
            f"every machine reaches, but {session.database.shown} is SQLite's, for one machine; "
            "name one with --storage or DEEPREC_STORAGE, or search with --cluster local"
        )
    if session.shared is None:
        raise InputError(
            f"--cluster {session.flags.placement.cluster} needs --shared, where towers and "
            "checkpoints of all machines are kept: file:///FOLDER, s3://BUCKET/FOLDER or "
            "gs://BUCKET/FOLDER"
        )


def _warn_of_cores(session: Session, workers: int) -> None:
    cores = available_cores()
    if workers > cores:
        session.screen.warn(
            f"{workers} workers share {counted(cores, 'core')}; "
            "more workers than cores are seldom faster"
        )


@contextmanager
def _opened(
    session: Session, fingerprint: str, accept_code: bool
) -> Iterator[tuple[optuna.Study, Sequence[Closed]]]:
    """The study, opened or created, and the stale trials that were closed.

    A process that is alone with an SQLite study closes all at once. Elsewhere they are closed by
    one that has seen no heartbeat for the grace period.
    """
    claim = session.claim()
    with ExitStack() as attended:
        if not claim.take(within(CLAIM_SECONDS)):
            raise InputError(
                f"another process has been deciding for {CLAIM_SECONDS:g} s what study "
                f"{session.spec.name!r} runs next; if it was stopped, let it go on or end it"
            )
        try:
            is_alone = attended.enter_context(attending(session.database))
            study = open_study(
                session.database,
                session.spec,
                fingerprint,
                session.identity,
                patience=session.patience,
            )
            settle_code(study, session.spec, accept=accept_code)
            _take_over(session, study, fingerprint)
            study.pruner = make_pruner(session.spec)
            if is_alone:
                remove_leftovers(session.towers_folder)
            is_stale = all_stale if is_alone else stale_if()
            stale = close_stale(study, is_stale, reason="the process that ran it was killed")
        finally:
            claim.release()
        yield study, stale


def _take_over(session: Session, study: optuna.Study, fingerprint: str) -> None:
    """Begins a study that has run no trial with those of the studies that it names."""
    trials = study.get_trials(deepcopy=False)
    if not session.spec.warm_start.studies or not all(TAKEN_OVER in t.user_attrs for t in trials):
        return
    with opened_sources(session.database, session.spec, fingerprint) as sources:
        for name, what in take_over(study, session.spec, sources):
            session.screen.announce(f"taken over from study {name}: {what}")


def _announce_resumption(session: Session, study: optuna.Study, stale: Sequence[Closed]) -> None:
    trials = records(study, session.spec.limits.given)
    budget = session.spec.study.trials
    finished = sum(trial.is_finished for trial in trials)
    for closed in stale:
        if closed.is_given_up:
            session.screen.warn(closed.line)
        else:
            session.screen.announce(
                f"a killed process left trial {closed.number} unfinished; it runs again first"
            )
    running = sum(trial.state == "running" for trial in trials)
    stall = stall_of(study.get_trials(deepcopy=False), session.spec)
    if finished < budget and stall:
        session.screen.announce(f"study {session.spec.name} has stalled: {stall}")
    elif finished >= budget:
        session.screen.announce(
            f"nothing is missing: study {session.spec.name} has {finished} finished trials of "
            f"{budget}; to search on, give a larger --trials"
        )
    elif trials:
        others = f", {running} under way elsewhere" if running else ""
        session.screen.announce(
            f"going on with study {session.spec.name}: {finished} of {budget} trials{others}"
        )
