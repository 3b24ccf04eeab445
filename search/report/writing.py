"""Writing a report: for the command, and for whoever refreshes it after a search."""

import os
import uuid
from pathlib import Path

import optuna

from search.report.facts import Facts, gather
from search.report.page import page
from search.spec import StudySpec
from search.summary import NextCommands

FILE_NAME = "report.html"


def report_path(study_folder: Path) -> Path:
    """Where the report of a study lies.

    Args:
        study_folder: see :meth:`search.workspace.Workspace.towers`.
    """
    return study_folder / FILE_NAME


def write_report(study: optuna.Study, spec: StudySpec, commands: NextCommands, path: Path) -> Path:
    """Writes the report of a study as one HTML file; whole, or not at all.

    Args:
        study: as it is stored.
        spec: its file.
        commands: what to do next, see :meth:`search.session.Session.commands`.
        path: where to; its folder is made, a file there is replaced.

    Returns:
        The path.

    Raises:
        OSError: it cannot be written.
    """
    return write_page(gather(study, spec, commands), path)


def write_page(facts: Facts, path: Path) -> Path:
    """Writes the page of gathered facts, see :func:`write_report`."""
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
