"""Secrets in addresses: found, and replaced before anybody reads them."""

import re
from urllib.parse import unquote

HIDDEN = "***"

_LOOKS_SECRET = re.compile(r"pass|pwd|secret|token|credential|(^|_)key$", re.IGNORECASE)
# A password may hold slashes: all up to the last @ may be a part of it.
_DATABASE_USER = re.compile(
    r"((?:postgres(?:ql)?|mysql|mariadb|mssql|oracle)(?:\+\w+)?://)[^\s'\"]*@", re.IGNORECASE
)
_USER_WITH_PASSWORD = re.compile(r"(?<=://)[^/\s'\":@]*:(?!\d+(?:[/?#]|$))[^\s'\"]*@")
_USER = re.compile(r"(?<=://)[^/\s'\"]+@")
_QUERY = re.compile(r"(://[^\s?'\"]*\?)[^\s'\"]+")
_QUERY_VALUE = re.compile(r"([?&])([^=&\s]+)=([^&#]*)")


def mask(text: str) -> str:
    """The text with user names, passwords and query values of its URLs replaced by ``***``."""
    text = _DATABASE_USER.sub(rf"\1{HIDDEN}@", text)
    text = _USER_WITH_PASSWORD.sub(f"{HIDDEN}@", text)
    text = _USER.sub(f"{HIDDEN}@", text)
    return _QUERY.sub(rf"\1{HIDDEN}", text)


def mask_query(url: str) -> str:
    """A URL whose query tells how to connect: the values that look like secrets are replaced."""

    def replaced(part: re.Match[str]) -> str:
        mark, name, value = part.groups()
        return f"{mark}{name}={HIDDEN if _LOOKS_SECRET.search(unquote(name)) else value}"

    return _QUERY_VALUE.sub(replaced, url)


def holds_secret(url: str) -> bool:
    """Whether a URL holds what others must not read.

    The name of a user alone is no secret, except for a web server, where it may be a token.
    """
    if url.lower().startswith(("http://", "https://")):
        return mask(url) != url
    after = url.partition("://")[2]
    has_password = re.match(r"[^/:@]*:[^@]*@", after) is not None
    return has_password or mask_query(url) != url
