"""The errors that the command line turns into one line and an exit code."""


class InputError(Exception):
    """What the user gave cannot be used; exit code 2.

    The message is one line for people: what was given, what is allowed, what to do next.
    Raised before any work is done and before anything is written.
    """


class StorageLostError(Exception):
    """The study's database was lost in the middle of a search; exit code 1.

    It was away for too long, its disk is full, or it is damaged. The message is one line for
    people. All that was told before is stored; the same command goes on once it is back.
    """


class DiskFullError(Exception):
    """There is no space left to save what a trial has trained; exit code 1."""
