"""A search and its MLflow: made to agree after the trials, or a word about it."""

from collections.abc import Callable

import optuna

from deeprec.pace import Pace
from search.described import keep_end
from search.session import Session
from search.stored_trials import records
from search.tracking import Reconciled, Tracker
from search.trials import StudyState


def agree_after(session: Session, study: optuna.Study, tracker: Tracker, state: StudyState) -> None:
    """Adds what MLflow lacks of the trials, and closes the study's run.

    Args:
        session: of the study.
        study: whose trials are over.
        tracker: of the study.
        state: how the search ended.
    """
    keep_end(study, state)
    trials = records(study)
    tell = progress_of(session, len(trials))
    done = tracker.conclude(trials, session.towers_of, tell=tell)
    _warn_of(session, done, is_closed=tracker.study_finished(trials, state))


def progress_of(session: Session, total: int) -> Callable[[int], None]:
    """Announces, not too often, how many of the trials are compared, for a reconciliation."""
    pace = Pace(total, "trials are in MLflow", session.announce, then="")
    return lambda count: pace(count) if count < total else None


def _warn_of(session: Session, done: Reconciled, *, is_closed: bool) -> None:
    count = len(done.lacking)
    if not count and is_closed:
        return
    lacks = "the end of the study" if not count else f"{count} trials" if count > 1 else "a trial"
    known = "MLflow lacks" if done.reached else "MLflow is not known to hold"
    when = "" if done.reached and is_closed else "once it answers, "
    session.warn(f"{known} {lacks}; {when}add it with: {session.commands().sync}")
