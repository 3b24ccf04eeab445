"""The report at the end of a search or a confirmation: written anew, and kept in MLflow."""

import optuna

from search.report.facts import Facts, gather
from search.report.writing import report_path, write_page
from search.session import Session
from search.tracking import Tracker


def refresh_report(session: Session, study: optuna.Study, tracker: Tracker) -> Facts:
    """Writes the report of the study; one that cannot be written costs a warning and no more.

    Args:
        session: of the study.
        study: as it is stored, with how it ended.
        tracker: whose run of the study keeps the report, too.

    Returns:
        What the report shows.
    """
    session.screen.doing("writing the report")
    facts = gather(study, session.spec, session.commands)
    path = report_path(session.towers_folder)
    try:
        write_page(facts, path)
    except OSError as error:
        session.warn(f"the report could not be written: {error.strerror}: {path}")
    else:
        tracker.log_report(path)
    return facts
