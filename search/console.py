"""Where commands print."""

from rich.console import Console

PIPE_COLUMNS = 120


def make_console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for a table in a log file."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_COLUMNS)
