"""``python -m search.describe``: what files of one's own hold, and a study file for them."""

from pathlib import Path
from typing import Annotated

import typer

from search.commands.cli import run_command


def main(
    interactions: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="The log: a row for each time that a user had to do with an item."
        ),
    ],
    users: Annotated[
        str | None, typer.Option(metavar="FILE", help="A table with a row for each user.")
    ] = None,
    items: Annotated[
        str | None, typer.Option(metavar="FILE", help="A table with a row for each item.")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(metavar="STUDY.toml", help="The study file to write; there must be none."),
    ] = None,
    separator: Annotated[
        str | None, typer.Option(metavar="CHARACTER", help="Between the columns of CSV files.")
    ] = None,
    encoding: Annotated[
        str, typer.Option(metavar="NAME", help="Of CSV files, such as latin-1.")
    ] = "utf-8",
    decimal: Annotated[
        str, typer.Option(metavar=".|,", help="Between a number and its fraction, in CSV files.")
    ] = ".",
) -> int:
    """Shows the columns of a log of events and of the tables beside it, and what each may be for.

    CSV, TSV, JSON lines and Parquet; packed or not; a file, a pattern or a folder. With --write the
    proposals become a study file with comments, which python -m search.run searches as it is.

    Examples: python -m search.describe events.csv
    python -m search.describe log.parquet --users u.csv --items i.csv --write studies/shop.toml
    """
    from search.commands.describe import describe
    from search.display.terminal import Screen

    options = {"separator": separator, "encoding": encoding, "decimal": decimal}
    with Screen() as screen:
        screen.doing("reading the files")
        describe(interactions, users, items, options, write, screen)
    return 0


if __name__ == "__main__":
    run_command(main)
