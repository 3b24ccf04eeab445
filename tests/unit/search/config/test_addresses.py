"""Addresses: refused by their looks alone, and secrets in them warned of."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.config.addresses import (
    LONGEST_ADDRESS,
    LONGEST_NAME,
    check_address,
    exposed_secrets,
    holds_secret,
)
from search.records.errors import InputError


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///a\0b", "free of control characters"),
        ("", "--storage must be an address but is empty; set the variable it was given by"),
        ("sqlite:///\x1b[31m", "free of control characters"),
        ("sqlite:///" + "secret" * 50, "names of at most 255 bytes"),
        ("sqlite:///" + "secret/" * 500, "at most 2,000 characters but got 3,510"),
    ],
)
def test_what_is_none_is_refused_and_not_repeated(url: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_address(url, "--storage")
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)


@given(st.text(max_size=LONGEST_ADDRESS + 5))
def test_what_is_refused_is_refused_in_one_line(address: str) -> None:
    refusal = refusal_of(partial(check_address, address, "--flag"))
    assert refusal.isprintable()
    may_pass = address.isprintable() and 0 < len(address) <= LONGEST_ADDRESS
    fits = may_pass and all(len(name.encode()) <= LONGEST_NAME for name in address.split("/"))
    assert bool(refusal) != fits


def refusal_of(check: Callable[[], object]) -> str:
    try:
        check()
    except InputError as error:
        return str(error)
    return ""


SECRET = "postgresql://me:secret@host/name"
PLAIN = "postgresql://me@host/name"


def test_what_is_a_secret() -> None:
    secrets = [
        SECRET,
        *("postgresql://me:se/cret@host/name", "postgresql://me:se@cret@host/name"),
        *("postgresql://host/name?password=secret", "https://host/?access_token=secret"),
        "postgresql://host/name?sslmode=require&PASSWORD=secret",
        *("http://me:secret@host:5000", "https://token@host"),
    ]
    others = [
        PLAIN,
        *("postgresql://host/name?sslmode=require&user=me", "postgresql://me@host:5432/name"),
        *("sqlite:////a:b@c/name.db", "http://host:5000", "http://host:5000/me@home"),
    ]
    assert [url for url in secrets + others if holds_secret(url)] == secrets


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
def test_secrets_that_others_see_are_warned_of(arguments: list[str], warned: list[str]) -> None:
    warnings = exposed_secrets(arguments)
    for warning, expected in zip(warnings, warned, strict=True):
        assert expected in warning
        assert "secret@" not in warning
