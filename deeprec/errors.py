"""The errors of the recommender that a caller is expected to handle."""

from pathlib import Path


class DataError(Exception):
    """The data set cannot be had, or what was given for it is damaged.

    The message is for people: what was given, what was tried, what to do next.
    """


class RequestError(ValueError):
    """A recommender cannot answer what it was asked.

    The message is for people: what was given, and what is allowed.
    """


class DivergedError(ArithmeticError):
    """A training diverged: its numbers, finite or not, mean nothing any more.

    The message is for people: which number, in which epoch, and what it is measured against.
    """


class NonFiniteError(DivergedError):
    """A loss or a score was NaN or infinite.

    Attributes:
        metric: name of the quantity, such as ``train_loss``.
        epoch: the epoch, counted from 1.
        step: the step (batch) in the epoch, counted from 1; None where there are no steps.
    """

    def __init__(self, metric: str, epoch: int, step: int | None = None) -> None:
        self.metric = metric
        self.epoch = epoch
        self.step = step
        where = f"epoch {epoch}" if step is None else f"epoch {epoch}, step {step}"
        super().__init__(f"{metric} is not finite at {where}")


def printable(text: object, limit: int = 300) -> str:
    """What somebody gave, as part of a message: on one line, without what steers a terminal.

    Args:
        text: usually text or an exception; of several lines the first that is not empty.
        limit: characters; what is longer is cut.
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
