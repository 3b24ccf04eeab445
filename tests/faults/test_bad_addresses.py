"""Bad addresses of databases and servers: one line, exit code 2, no password in it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.records.errors import InputError
from search.tracking.destination import check_writable, resolve_uri
from tests.faults.deceit import few
from tests.faults.in_process import COMMANDS, TEXTS, refused

pytestmark = [pytest.mark.data, pytest.mark.faults]

SCHEMES = st.text("abcxyz+.-", min_size=1, max_size=12)
ADDRESSES = st.one_of(
    st.builds("{}://{}".format, SCHEMES, TEXTS),
    st.builds("sqlite:///{}".format, st.text("ab/.:\0\x1b%?#", max_size=40)),
    st.builds("http://user:hunter2@h:{}/x".format, st.integers(-(10**6), 10**6)),
    st.builds("http://h{}/".format, TEXTS),
    st.builds("postgresql://user:hunter2@h/{}".format, TEXTS),
    st.text(max_size=5000),
    st.sampled_from(["a" * 100_000, "://" * 30_000, "x" * 2001, "sqlite:///" + "x" * 256]),
)


@given(address=ADDRESSES)
def test_a_tracking_uri_is_understood_or_refused(folder: Path, address: str) -> None:
    try:
        destination = resolve_uri(address, folder / "mlruns")
        check_writable(destination, folder / "mlruns")
    except InputError as error:
        text = str(error)
    else:
        assert destination.uri.startswith(("http://", "https://", "sqlite:////"))
        text = destination.shown
    assert text.isprintable()
    assert len(text) < 6000
    assert "hunter2" not in text


@pytest.mark.parametrize("command", COMMANDS)
@few
@given(scheme=SCHEMES, rest=TEXTS)
def test_an_unknown_tracking_uri(folder: Path, command: str, scheme: str, rest: str) -> None:
    argument = {"recommend": "1", "reproduce": "0" * 32}
    positional = [argument[command]] if command in argument else ["--study", "tiny"]
    uri = f"--tracking-uri=x{scheme}://{rest}"
    refused(COMMANDS[command], folder, *positional, uri, message="racking")
