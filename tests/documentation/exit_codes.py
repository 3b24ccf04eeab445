"""``docs/reference/exit-codes.md``: what the commands return, by the constants of the code."""

import signal

from search.commands.cli import BAD_INPUT, FAILED, INTERRUPTED
from tests.documentation.markdown import table

INTRODUCTION = """# Exit codes

All commands end with one of these. When a command is refused, nothing is written: one line on
standard error, `error: ...`, says what was given, what is allowed and what to do.
"""

BY_COMMAND = (
    (
        "`search.run`",
        "the study has its trials or has stalled, its grid is exhausted, or `--timeout` is over",
        "trials or workers keep failing; the database, the disk or the like is lost while it runs",
    ),
    (
        "`search.retrain`",
        "the winner is confirmed and tested; MLflow may be away, which is a warning",
        "no contender is stable; the database, the disk or the like is lost while it runs",
    ),
    ("`search.recommend`", "titles were shown", "they could not be written"),
    ("`search.export`", "the folder is there", "the disk is full or the like"),
    ("`search.serve`", "the server was stopped", "the server ended by itself"),
    ("`search.report`", "the report is written", "it could not be written to standard output"),
    ("`search.reproduce`", "every number came out", "a number differs"),
    (
        "`search.sync`",
        "MLflow holds what the study holds",
        "MLflow cannot be reached, or something is still missing there",
    ),
)

AFTERWARDS = """An interrupted search or confirmation loses nothing: the same command goes on.
After a second Ctrl-C the process ends at once, with the same code. A search whose output cannot be
written goes on unseen. A process that is killed with `kill -9` has no code of its own; shells show
137.
"""


def page() -> str:
    """The page as Markdown."""
    rows = [
        ("0", "done: what was asked for is there"),
        (str(FAILED), "it was tried and did not work"),
        (str(BAD_INPUT), "bad input: nothing was done and nothing written"),
        (str(128 + signal.SIGHUP), "the terminal was closed (SIGHUP); not after `nohup`"),
        (str(INTERRUPTED), "interrupted from the keyboard (SIGINT)"),
        (str(128 + signal.SIGTERM), "terminated (SIGTERM)"),
    ]
    codes = table(("code", "meaning"), rows)
    by_command = table(("command", "0", str(FAILED)), BY_COMMAND)
    return f"{INTRODUCTION}\n{codes}\n\nBy command:\n\n{by_command}\n\n{AFTERWARDS}"
