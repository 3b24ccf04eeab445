"""Files at addresses: a log in an S3 bucket is the log that lies here, and so is ``file://``."""

from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet
import pytest

from deeprec.errors import DataError
from deeprec.events.description import DataDescription
from deeprec.events.files import found_files
from deeprec.events.preparation import check_files, fingerprint_of, prepare
from tests.unit.deeprec.events.shop import EVENTS, Shop


def parquet() -> bytes:
    names, *rows = (line.split(",") for line in EVENTS.split())
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    pa.parquet.write_table(table, sink := pa.BufferOutputStream())
    return bytes(sink.getvalue())


FILES = {
    "log/month=1/a.csv": EVENTS.encode(),
    "log/month=2/b.csv": b"user,item,when,event\nann,001,2025-03-03,buy\n",
    "log/month=2/_SUCCESS": b"",
    "logbook.csv": b"no,log\n",
    "table.parquet": parquet(),
}


class Bucket(BaseHTTPRequestHandler):
    """Reads of S3 from one bucket: objects, whole or a range of them, and lists of them."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        asked = urlsplit(self.path)
        bucket, _, key = unquote(asked.path).lstrip("/").partition("/")
        status, body = 404, b"<Error><Code>NoSuchKey</Code><Message>no key</Message></Error>"
        if bucket != "shop":
            body = b"<Error><Code>NoSuchBucket</Code><Message>no such bucket</Message></Error>"
        elif key == "secret.csv":
            status, body = 403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        elif not key:
            status, body = 200, self._listed(parse_qs(asked.query)).encode()
        elif key in FILES:
            status, body = 200, FILES[key]
            if given := self.headers["Range"]:
                first, last = given.removeprefix("bytes=").split("-")
                status, body = 206, body[int(first) : int(last or len(body)) + 1]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", formatdate(0, usegmt=True))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    @staticmethod
    def _listed(query: dict[str, list[str]]) -> str:
        prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
        keys, folders = [], set()
        for key in FILES:
            folder, found, _ = key.removeprefix(prefix).partition(delimiter or "\n")
            if not key.startswith(prefix):
                continue
            if found:
                folders.add(prefix + folder + delimiter)
            else:
                keys.append(f"<Key>{escape(key)}</Key><Size>{len(FILES[key])}</Size>")
        return "".join(
            [
                "<ListBucketResult><IsTruncated>false</IsTruncated>",
                f"<KeyCount>{len(keys) + len(folders)}</KeyCount>",
                *(f"<Contents>{key}</Contents>" for key in keys),
                *(f"<CommonPrefixes><Prefix>{f}</Prefix></CommonPrefixes>" for f in folders),
                "</ListBucketResult>",
            ]
        )

    def log_message(self, *_: object) -> None:
        """Nothing is said of requests."""


@pytest.fixture(scope="module")
def options() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    yield f"?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
    server.shutdown()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def described(shop: Shop, path: str) -> DataDescription:
    return shop.described(interactions=path, users={}, items={})


@pytest.mark.parametrize(
    "path", ["log", "log/month=1/a.csv", "log/*/[a-z].csv", "**/[ab].csv", "table.parquet"]
)
def test_a_log_at_an_address_is_the_log_that_lies_here(path: str, options: str, shop: Shop) -> None:
    for name, text in FILES.items():
        shop.write(name, text)
    here = described(shop, path)
    remote = f"s3://shop/{path}{options}"
    for address in (f"file://{shop.folder}/{path}", remote):
        there = described(shop, address)
        check_files(there, shop.folder)
        assert fingerprint_of(there, Path("/")) == fingerprint_of(here, shop.folder)
        names = [str(each) for each in found_files(there.interactions, Path("/"))]
        root = "s3://shop" if address == remote else str(shop.folder)
        assert names == [f"{root}/{each}" for each in FILES if f"{root}/{each}" in names]
    one, other = (prepare(each, shop.folder, lambda _: None) for each in (here, there))
    for name, array in one.arrays.items():
        assert name == "about" or (array == other.arrays[name]).all(), name
    assert other.notes["source"] == remote.partition("?")[0]
    assert there.name == here.name


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://shop/log.csv{}", r"s3://shop/log.csv is not there; did you mean logbook.csv\?"),
        ("s3://shop/x/*.csv{}", r"no file is called s3://shop/x/\*.csv; check the address"),
        ("s3://shop/log/month=2/_SUCCESS{}", r"s3://shop/log/month=2/_SUCCESS .*is empty"),
        ("s3://none/log.csv{}", r"s3://none/log.csv is not there; check the address"),
        (
            "s3://me:word@shop/secret.csv{}",
            r"^s3://shop/secret.csv cannot be read: .*ACCESS_DENIED",
        ),
        ("s3://shop/log.csv?color=red", r"s3://shop/log.csv cannot be read: .*color.*; is the add"),
        ("s3:///log.csv", r"s3:///log.csv must be a path, or an address: s3://BUCKET/FILE, gs:"),
        ("ftp://host/log.csv", r"ftp://host/log.csv must be a path, or an address: s3://BUCKET"),
        ("file://host/log.csv", r"file://host/log.csv must be file:///FOLDER/FILE, with three sl"),
    ],
)
def test_an_address_that_cannot_be_read_is_one_line(
    address: str, message: str, options: str, shop: Shop
) -> None:
    with pytest.raises(DataError, match=message) as raised:
        check_files(described(shop, address.format(options)), shop.folder)
    assert str(raised.value).isprintable()
    assert "word" not in str(raised.value)
