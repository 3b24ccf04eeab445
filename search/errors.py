"""The error that the command line turns into one line and exit code 2."""


class InputError(Exception):
    """What the user gave cannot be used.

    The message is one line for people: what was given, what is allowed, what to do next.
    Raised before any work is done and before anything is written.
    """
