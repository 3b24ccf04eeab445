"""``python -m search.report``: a study as one HTML file, or as JSON."""

from pathlib import Path
from typing import Annotated

import typer

from search.commands.cli import (
    SearchedStudyOption,
    StorageOption,
    TrackingUriOption,
    command_screen,
    run_command,
)
from search.config.addresses import check_names
from search.study import Study

OutputOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Where to write it.", show_default="studies/NAME/report.html"
    ),
]


def main(
    study: SearchedStudyOption = "tutorial",
    storage: StorageOption = None,
    tracking_uri: TrackingUriOption = None,
    output: OutputOption = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in a browser.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it as JSON, and nothing else.")
    ] = False,
) -> int:
    """Writes what a study found as one HTML file that needs nothing else.

    The verdict, every trial, the pictures, the confirmation, what it cost and how to do it again,
    for any browser, without a network. --json prints the same facts for programs instead; the
    format is documented in docs/reference/report.md. The data set is not needed.

    Example: python -m search.report --study tutorial --open
    """
    if output is not None:
        check_names(str(output), "--output")
    with command_screen(quiet=as_json) as screen:
        found = Study(study, storage=storage, tracking_uri=tracking_uri, screen=screen).report()
        from search.report.writing import deliver

        deliver(found, screen, output=output, open_it=open_it, as_json=as_json)
    return 0


if __name__ == "__main__":
    run_command(main, is_for_output=True)
