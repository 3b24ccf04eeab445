"""What an address that is given must be before it is understood: of a database, of a server."""

from search.errors import InputError

LONGEST_ADDRESS = 2000
LONGEST_NAME = 255
"""Bytes in the name of a file or a folder."""


def check_address(address: str, flag: str) -> None:
    """Checks an address by itself, without looking at what it names; it is never repeated whole.

    Raises:
        InputError: it is empty or too long, or holds what cannot be printed or name a file.
    """
    if not address:
        raise InputError(
            f"{flag} must be an address but is empty; set the variable it was given by"
        )
    if len(address) > LONGEST_ADDRESS:
        raise InputError(
            f"{flag} must have at most {LONGEST_ADDRESS:,} characters but got {len(address):,}"
        )
    if unprintable := next((c for c in address if not c.isprintable()), None):
        raise InputError(
            f"{flag} must be free of control characters but got {unprintable!r}; "
            "type it again, or quote it in the shell"
        )
    check_names(address, flag)


def check_names(path: str, flag: str) -> None:
    """Checks that files can have the names in a path.

    Raises:
        InputError: one is too long or holds a null character.
    """
    if "\0" in path:
        raise InputError(f"{flag} must be free of null characters")
    if any(len(name.encode(errors="surrogatepass")) > LONGEST_NAME for name in path.split("/")):
        raise InputError(f"{flag} must have names of at most {LONGEST_NAME} bytes between slashes")


def checked_storage(url: str | None) -> str | None:
    """The URL of a study's database, checked by itself; None is the default one.

    Raises:
        InputError: see :func:`check_address`; or it is no URL, or its port is none.
    """
    if url is None:
        return None
    check_address(url, "--storage")
    import sqlalchemy  # here, for only those who give a URL wait for it

    try:
        port = sqlalchemy.make_url(url).port
        usable = port is None or 0 < port < 65_536
    except (sqlalchemy.exc.ArgumentError, ValueError):
        usable = False
    if not usable:
        raise InputError(
            "--storage must be a database URL such as sqlite:///studies/name.db or "
            "postgresql+psycopg://user@host:5432/name, with a port from 1 to 65535"
        )
    return url
