"""The report of a study, written or printed."""

import sys
import webbrowser
from pathlib import Path

from search.errors import InputError, is_disk_full
from search.report.document import document
from search.report.facts import Facts, gather
from search.report.writing import report_path, write_page
from search.session import Session
from search.storage import close_study


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
