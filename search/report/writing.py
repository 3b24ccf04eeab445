"""The report at the end of a search or a confirmation: written anew, and kept in MLflow."""

import os
import sys
import uuid
import webbrowser
from pathlib import Path

import optuna

from search.records.errors import InputError, is_disk_full
from search.report.document import document
from search.report.facts import Facts, gather
from search.report.page import page
from search.session.session import Session
from search.storage.study import close_study
from search.tracking import Tracker

FILE_NAME = "report.html"


def report_path(study_folder: Path) -> Path:
    """Where the report of a study lies.

    Args:
        study_folder: see :meth:`search.config.workspace.Workspace.towers`.
    """
    return study_folder / FILE_NAME


def write_page(facts: Facts, path: Path) -> Path:
    """Writes the report of a study as one HTML file; whole, or not at all.

    Args:
        facts: of the study.
        path: where to; its folder is made, a file there is replaced.

    Returns:
        The path.

    Raises:
        OSError: it cannot be written.
    """
    text = page(facts)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}")
    try:
        with new.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return path


def report(
    session: Session, *, output: Path | None, open_it: bool = False, as_json: bool = False
) -> int:
    """Writes the report, or prints it as JSON and nothing else.

    Args:
        session: the study.
        output: where to; beside the study's towers when None.
        open_it: whether a browser shall show it.
        as_json: whether it is printed as JSON; a page is then written only where ``output`` says.

    Returns:
        The exit code.

    Raises:
        InputError: there is no such study, or the report cannot be written.
    """
    facts = _facts(session)
    path = output or report_path(session.towers_folder)
    if not as_json or output is not None or open_it:
        _write(facts, path)
    if as_json:
        sys.stdout.write(document(facts).model_dump_json(indent=2, ensure_ascii=True) + "\n")
    else:
        session.show(f"report: {path.resolve()}")
        session.show(f"open it in a browser: {path.resolve().as_uri()}")
    if open_it and not webbrowser.open(path.resolve().as_uri()):
        sys.stderr.write("warning: no browser could be opened; open the file in one\n")
    return 0


def _facts(session: Session) -> Facts:
    study = session.load_study()
    try:
        return gather(study, session.spec, session.commands)
    finally:
        close_study(study)


def _write(facts: Facts, path: Path) -> None:
    try:
        write_page(facts, path)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise InputError(
            f"--output must be a file that can be written but {path} cannot: {error.strerror}"
        ) from None


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
