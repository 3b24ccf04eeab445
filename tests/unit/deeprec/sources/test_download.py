"""A host is asked before anything is downloaded from it, and not for long."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deeprec.errors import DataError
from deeprec.sources.download import archive_url, check_reachable
from deeprec.sources.quiet_tensorflow import import_tfds
from deeprec.sources.releases import RELEASES, Release


@contextmanager
def server_answering(status: int, body: bytes = b"") -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/ml-100k.zip"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize("status", [200, 403, 404, 405])
def test_any_answer_of_the_host_will_do(status: int) -> None:
    with server_answering(status) as url:
        check_reachable(url)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_failure_of_a_server_in_between_will_not(status: int) -> None:
    with (
        server_answering(status) as url,
        pytest.raises(DataError, match=rf"^127\.0\.0\.1 cannot be reached .HTTP status {status}"),
    ):
        check_reachable(url)


def test_closed_port_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(DataError, match=r"127\.0\.0\.1 cannot be reached .*refused"):
        check_reachable(f"http://127.0.0.1:{port}/")


def test_silent_host_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(DataError, match=r"^127\.0\.0\.1 (did not answer|cannot be reached)"):
            check_reachable(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.3)
        assert time.monotonic() - began < 3


def test_slow_name_lookup_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*arguments: object) -> None:
        time.sleep(1)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(DataError, match=r"^data\.invalid did not answer within 0\.1 s$"):
        check_reachable("http://data.invalid/", timeout=0.1)


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
def test_archive_is_the_one_that_tfds_knows(release: Release) -> None:
    url = archive_url(release)
    known = import_tfds().builder_cls("movielens").url_infos[url]
    archive = release.archive.archive
    assert url.endswith(f"/{archive.name}")
    assert (known.size, known.checksum) == (archive.size, archive.sha256)
