"""The errors that the command line turns into one line and an exit code."""

import errno

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


class InputError(Exception):
    """What the user gave cannot be used; exit code 2.

    The message is one line for people: what was given, what is allowed, what to do next.
    Raised before any work is done and before anything is written.
    """


class SearchFailedError(Exception):
    """A search or a confirmation ended without what it was for; exit code 1.

    It has told why on the screen by then; the message is the same line. All results are stored.
    """


class Interrupted(KeyboardInterrupt):
    """A search or a confirmation was asked to stop, and did so tidily: what finished is stored.

    ``exit_code`` is that of a command which a signal ends: 128 plus the signal's number.
    """

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


class StorageLostError(Exception):
    """The study's database was lost in the middle of a search; exit code 1.

    It was away for too long, its disk is full, or it is damaged. The message is one line for
    people. All results before are stored; the same command goes on once it is back.
    """


def is_disk_full(error: BaseException) -> bool:
    """Whether a file could not be written for want of room on its disk."""
    return isinstance(error, OSError) and error.errno in _DISK_FULL


def environment_fault(error: BaseException) -> str | None:
    """Why no configuration could have been trained, and what to do, in one line for people.

    None where the configuration may be at fault.
    """
    if is_disk_full(error):
        return f"the disk is full ({error}); make room, and start the same command again"
    if isinstance(error, OSError | ImportError):
        cause = " ".join(str(error).split()) or type(error).__name__
        return f"this is no fault of the trial: {cause}; mend it, and start the same command again"
    return None


def is_denied(error: OSError) -> bool:
    """Whether the system does not let this user read or write there."""
    return error.errno in _DENIED
