"""The errors of the recommender that a caller is expected to handle."""

from pathlib import Path


class DataError(Exception):
    """The data set cannot be had, or what was given is damaged; the message is for people."""


class RequestError(ValueError):
    """A recommender cannot answer what it was asked; the message is for people."""


class DivergedError(ArithmeticError):
    """A training diverged: its numbers mean nothing any more; the message is for people."""


class NonFiniteError(DivergedError):
    """A loss or a score was NaN or infinite: which, in which epoch and step, counted from 1."""

    def __init__(self, metric: str, epoch: int, step: int | None = None) -> None:
        self.metric = metric
        self.epoch = epoch
        self.step = step
        where = f"epoch {epoch}" if step is None else f"epoch {epoch}, step {step}"
        super().__init__(f"{metric} is not finite at {where}")


def printable(text: object, limit: int = 300) -> str:
    """Foreign text or an exception as part of a message, without what steers a terminal.

    Of several lines it is the first that is not empty, cut at the limit.
    """
    line = next((line for line in str(text).splitlines() if line.strip()), "").strip()
    shown = line if len(line) <= limit else f"{line[:limit]}..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


def unwritable(folder: Path, error: OSError) -> str:
    """The message for a cache folder that cannot be written to."""
    return (
        f"the cache folder {folder} must be writable but is not ({error.strerror}); "
        "set XDG_CACHE_HOME to a folder of yours, or make it writable"
    )
