"""Conducts a search: opens the study, lets everybody look on, and sums up at the end."""

from collections.abc import Mapping, Sequence
from typing import Literal

import optuna

from deeprec.dataset import TrainingData
from deeprec.references import popularity_accuracy
from search.interrupt import StopRequest
from search.objective import Objective, TrialWatcher
from search.progress import make_progress
from search.session import Session
from search.storage import close_stale, only_run, open_study, records
from search.summary import print_summary
from search.tracking import Tracker
from search.worker import Outcome, OutcomeState, search

FAILED = 1

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
    splits = session.splits
    popularity = popularity_accuracy(splits.train, splits.validation, session.dataset.movies.rows)
    tracker = session.open_tracker()
    session.workspace.studies.mkdir(parents=True, exist_ok=True)
    with only_run(session.workspace.studies, session.spec.name):
        study = open_study(
            session.storage_url, session.spec, session.dataset.fingerprint, session.identity
        )
        outcome, exit_code = _run_trials(session, study, tracker, timeout_seconds)
        trials = records(study)
    print_summary(session.console, trials, popularity=popularity, commands=session.commands())
    if outcome.state != "complete":
        finished = sum(trial.is_finished for trial in trials)
        budget = session.spec.study.trials
        session.show(f"\nstopped with {finished} of {budget} trials: {outcome.reason}")
    return FAILED if outcome.state == "failing" else exit_code


def _run_trials(
    session: Session, study: optuna.Study, tracker: Tracker, timeout_seconds: float | None
) -> tuple[Outcome, int]:
    """Searches with everybody looking on; MLflow agrees with the study before and after."""
    spec = session.spec
    _announce_resumption(session, study, close_stale(study))
    tracker.reconcile(records(study), session.towers_of)
    progress = make_progress(
        session.console,
        trials=spec.study.trials,
        epochs=spec.training.epochs,
        done=records(study),
        quiet=session.quiet,
    )
    with StopRequest(progress.announce) as stop, progress:
        session.show = progress.announce
        watchers = (tracker, progress)
        outcome = search(
            study,
            spec,
            _objective(session, watchers, stop),
            watchers=watchers,
            stop_reason=lambda: stop.reason,
            timeout_seconds=timeout_seconds,
        )
        tracker.reconcile(records(study), session.towers_of)
        tracker.study_finished(records(study), _STUDY_STATES[outcome.state])
    return outcome, stop.exit_code


def _announce_resumption(session: Session, study: optuna.Study, stale: Sequence[int]) -> None:
    trials = records(study)
    budget = session.spec.study.trials
    finished = sum(trial.is_finished for trial in trials)
    if stale:
        numbers = ", ".join(map(str, stale))
        session.announce(f"a killed process left trial {numbers} unfinished; it runs again first")
    if finished >= budget:
        session.announce(
            f"nothing is missing: study {session.spec.name} has {finished} finished trials of "
            f"{budget}; to search on, give a larger --trials"
        )
    elif trials:
        session.announce(f"going on with study {session.spec.name}: {finished} of {budget} trials")


def _objective(session: Session, watchers: Sequence[TrialWatcher], stop: StopRequest) -> Objective:
    """The objective, which is given training and validation rows alone."""
    data = TrainingData(
        users=session.dataset.users,
        movies=session.dataset.movies,
        train=session.splits.train,
        validation=session.splits.validation,
    )
    return Objective(
        session.spec,
        data,
        towers_folder=session.towers_folder,
        watchers=watchers,
        should_stop=lambda: stop.reason,
    )
