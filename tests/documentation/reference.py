"""The reference pages, made from the code."""

from search.config.addresses import PROJECT
from tests.documentation import commands, exit_codes, metrics, report_schema, study_file

FOLDER = PROJECT / "docs" / "reference"

MADE_BY = "<!-- Made from the code by `make docs`; change the code, not this page. -->"


def pages() -> dict[str, str]:
    """The text of every page by the name of its file."""
    made = {
        "commands.md": commands.page(),
        "exit-codes.md": exit_codes.page(),
        "metrics.md": metrics.page(),
        "report.md": report_schema.page(),
        "study-file.md": study_file.page(),
    }
    return {name: f"{MADE_BY}\n\n{text.rstrip()}\n" for name, text in made.items()}
