"""Making MLflow agree with a study: what a search does at its end, done again.

From the study's storage and the saved towers come: parent run and report, every trial with
parameters, curve and towers, the references, the re-trainings and the confirmations, as far as
their results are in the study's ledger. The data set is not needed. What cannot be made again:

- models of the registry: which one is the champion was decided against the champion of that day;
  ``search.retrain`` publishes what it did not, and computes nothing twice
- towers that are not on this machine's disk, such as those that another machine saved
- confirmations of a version that kept their verdicts in MLflow alone; ``search.retrain`` again
  makes them, computing nothing twice
"""

from collections.abc import Callable, Iterable, Sequence

import optuna

from deeprec.sources.pace import Pace
from search.records.trials import StudyState, TrialRecord, counted
from search.report.writing import refresh_report
from search.session.session import Session, check_tracking, described, end_of, keep_end, tracker_of
from search.storage import results
from search.storage.study import close_study
from search.storage.trials import records
from search.tracking.tracker import Tracker
from search.tracking.writing import LoggedResult, Reconciled, Results


def agree_after(session: Session, study: optuna.Study, tracker: Tracker, state: StudyState) -> None:
    """Adds what MLflow lacks of the trials, and closes the study's run."""
    keep_end(study, state)
    trials = records(study, session.spec.limits.given)
    tell = progress_of(session, len(trials))
    done = tracker.conclude(trials, session.towers_of, tell=tell)
    _warn_of(session, done, is_closed=tracker.study_finished(trials, state))


def progress_of(session: Session, total: int) -> Callable[[int], None]:
    """Announces, not too often, how many of the trials are compared, for a reconciliation."""
    pace = Pace(total, "trials are in MLflow", session.screen.announce, then="")
    return lambda count: pace(count) if count < total else None


def _warn_of(session: Session, done: Reconciled, *, is_closed: bool) -> None:
    count = len(done.lacking)
    if not count and is_closed:
        return
    lacks = "the end of the study" if not count else f"{count} trials" if count > 1 else "a trial"
    known = "MLflow lacks" if done.reached else "MLflow is not known to hold"
    when = "" if done.reached and is_closed else "once it answers, "
    session.screen.warn(f"{known} {lacks}; {when}add it with: {session.commands().sync}")


BROKE_OFF = 1

CONSEQUENCE = "What it lacks is still missing there; run this again once it answers"


def sync(session: Session) -> int:
    """Makes MLflow agree with the study, however long it takes, and says what was missing.

    Trials that run are left alone. The exit code is 0 when MLflow agrees, 1 when it could not be
    reached, broke off or takes no files.

    Raises:
        InputError: there is no such study, or MLflow cannot be used.
    """
    session.check_writable()
    session.screen.doing(f"opening study {session.spec.name}")
    study = session.load_study()
    try:
        circuit = check_tracking(session, consequence=CONSEQUENCE)
        if circuit.is_open:
            return BROKE_OFF
        return _compare(session, study, tracker_of(session, study, circuit))
    finally:
        close_study(study)


def _compare(session: Session, study: optuna.Study, tracker: Tracker) -> int:
    trials = records(study, session.spec.limits.given)
    session.screen.announce(
        f"comparing {counted(len(trials), 'trial')} of study {session.spec.name} with MLflow at "
        f"{tracker.uri}"
    )
    tell = progress_of(session, len(trials))
    of_trials = tracker.reconcile(trials, session.towers_of, within_s=None, tell=tell)
    if of_trials.lacking or not of_trials.reached:
        return BROKE_OFF
    of_results = tracker.log_results(_results(session, results.Ledger(study)))
    if of_results is None:
        return BROKE_OFF
    budget = described(study, session.spec).trials
    is_updated = tracker.study_completed(trials, end_of(study, trials, budget))
    if is_updated is None:
        return BROKE_OFF
    if is_updated:
        refresh_report(session, study, tracker)
    for line in what_was_done(trials, of_trials, of_results, is_updated=is_updated):
        session.screen.show(line)
    return BROKE_OFF if tracker.refuses_files else 0


def _results(session: Session, ledger: results.Ledger) -> Results:
    return Results(
        references=results.kept_references(ledger, test=True),
        retrainings=results.kept_retrainings(ledger, session.towers_folder),
        confirmations=results.kept_confirmations(ledger),
    )


def what_was_done(
    trials: Sequence[TrialRecord],
    of_trials: Reconciled,
    of_results: Sequence[LoggedResult],
    *,
    is_updated: bool,
) -> list[str]:
    """What had to be done for MLflow to agree, in words."""
    lines = [
        f"{what}: {_numbered(numbers)}"
        for what, numbers in (
            ("made", of_trials.made),
            ("closed", of_trials.closed),
            ("completed", of_trials.completed),
            ("removed a second run", of_trials.removed),
        )
        if numbers
    ]
    lines += [f"{result.how}: {result.name}" for result in of_results if result.how]
    lines += ["completed: the run of the study"] if is_updated else []
    lines = lines or [f"nothing was missing: MLflow holds {counted(len(trials), 'trial')}"]
    running = [trial.number for trial in trials if trial.state == "running"]
    return lines + ([f"left alone, as it runs: {_numbered(running)}"] if running else [])


def _numbered(numbers: Iterable[int]) -> str:
    found = sorted(numbers)
    return f"trial{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"
