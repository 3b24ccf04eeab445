"""Passwords and tokens in addresses: recognized, and warned of where others can read them."""

import pytest

from search.config.addresses import exposed_secrets, holds_secret

SECRET = "postgresql://me:secret@host/name"
PLAIN = "postgresql://me@host/name"


@pytest.mark.parametrize(
    ("url", "is_secret"),
    [
        (SECRET, True),
        ("postgresql://me:se/cret@host/name", True),
        ("postgresql://me:se@cret@host/name", True),
        ("postgresql://host/name?password=secret", True),
        ("postgresql://host/name?sslmode=require&PASSWORD=secret", True),
        ("postgresql://host/name?sslmode=require&user=me", False),
        (PLAIN, False),
        ("postgresql://me@host:5432/name", False),
        ("sqlite:////a:b@c/name.db", False),
        ("http://host:5000", False),
        ("http://host:5000/me@home", False),
        ("http://me:secret@host:5000", True),
        ("https://token@host", True),
        ("https://host/?access_token=secret", True),
    ],
)
def test_what_is_a_secret(url: str, is_secret: bool) -> None:
    assert holds_secret(url) is is_secret


@pytest.mark.parametrize(
    ("arguments", "warned"),
    [
        ([f"--storage={SECRET}"], ["--storage; set DEEPREC_STORAGE instead"]),
        (["--storage", PLAIN, "--storage", SECRET], ["--storage; set DEEPREC_STORAGE instead"]),
        (["--tracking-uri", "https://token@host"], ["--tracking-uri; set MLFLOW_TRACKING_URI"]),
        (["--storage", PLAIN, "--tracking-uri", "http://host:5000"], []),
        (["--storage"], []),
    ],
)
def test_secrets_that_others_can_read_are_warned_of(
    arguments: list[str], warned: list[str]
) -> None:
    warnings = exposed_secrets(arguments)
    for warning, expected in zip(warnings, warned, strict=True):
        assert expected in warning
        assert "secret@" not in warning
