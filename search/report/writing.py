"""Writing a report: for the command, and for whoever refreshes it after a search."""

import os
import uuid
from pathlib import Path

from search.report.facts import Facts
from search.report.page import page

FILE_NAME = "report.html"


def report_path(study_folder: Path) -> Path:
    """Where the report of a study lies.

    Args:
        study_folder: see :meth:`search.workspace.Workspace.towers`.
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
