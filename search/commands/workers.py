"""The two ways to run the trials of a study: in this process, or in several others."""

import time

import optuna

from search.execution.data import training_data
from search.execution.loop import search
from search.execution.messages import Assignment
from search.execution.objective import Objective, set_libraries_aside
from search.execution.pool import Pool
from search.execution.signals import StopRequest
from search.execution.supervisor import Supervisor
from search.records.events import Listener, Outcome
from search.scheduling.heartbeat import Pulse
from search.session.session import Session


def search_here(
    session: Session,
    study: optuna.Study,
    pulse: Pulse,
    emit: Listener,
    stop: StopRequest,
    timeout_seconds: float | None,
) -> Outcome:
    """Runs the trials in this process."""

    def stop_reason() -> str | None:
        return stop.reason

    claim = session.claim()
    objective = Objective(
        session.spec,
        training_data(session.dataset, session.splits),
        towers_folder=session.towers_folder,
        emit=emit,
        should_stop=stop_reason,
        on_claimed=claim.settle,
    )
    set_libraries_aside()
    return search(
        study,
        session.spec,
        objective,
        claim=claim,
        pulse=pulse,
        emit=emit,
        stop_reason=stop_reason,
        timeout_seconds=timeout_seconds,
        warn=session.warn,
    )


def search_with_workers(
    session: Session,
    study: optuna.Study,
    pool: Pool,
    emit: Listener,
    stop: StopRequest,
    timeout_seconds: float | None,
) -> Outcome:
    """Runs the trials in other processes, and looks after them."""
    started = time.monotonic()
    first_number = len(study.get_trials(deepcopy=False))

    def assign() -> Assignment:
        passed = time.monotonic() - started
        return Assignment(
            spec=session.spec,
            storage_url=session.storage_url,
            towers_folder=session.towers_folder,
            data_dir=session.data_dir,
            data_fingerprint=session.dataset.fingerprint,
            grace_seconds=session.grace_seconds,
            first_number=first_number,
            seconds_left=None if timeout_seconds is None else timeout_seconds - passed,
        )

    supervisor = Supervisor(
        study,
        session.spec,
        session.towers_folder,
        pool,
        assign,
        claim=session.claim(),
        emit=emit,
        stop_reason=lambda: stop.reason,
        warn=session.warn,
        grace_seconds=session.grace_seconds,
    )
    return supervisor.run(session.workers)
