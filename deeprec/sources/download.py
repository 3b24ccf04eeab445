"""The published archive through TFDS's own download.

TFDS knows the address and the checksum, but tries for minutes to reach a host that is not there. So
the host is asked first, and the download runs in a child process that is watched.
"""

import http
import os
import ssl
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from deeprec.errors import DataError
from deeprec.sources.child_process import run_watched
from deeprec.sources.pace import Announce
from deeprec.sources.quiet_tensorflow import import_tfds
from deeprec.sources.releases import Release

PROBE_SECONDS = 5.0


def archive_url(release: Release) -> str:
    """Where TFDS downloads the archive of a release from."""
    family, table = release.ratings_table.split("/")
    configs = import_tfds().builder_cls(family).BUILDER_CONFIGS
    return next(config.download_url for config in configs if config.name == table)


def download(url: str, target: Path, announce: Announce) -> Path:
    """Downloads an archive.

    Args:
        url: its address.
        target: the file that it becomes, in a folder that has nothing else in it.
        announce: told how far it is.

    Returns:
        The path of the archive. TFDS has checked it against the checksum it knows.

    Raises:
        DataError: the host does not answer, or TFDS fails or stalls.
    """
    check_reachable(url)
    announce("downloading with TFDS")
    command = [sys.executable, "-m", __name__, url, str(target)]
    environment = _with_this_package()
    run_watched(command, folder=target.parent, announce=announce, environment=environment)
    return target


def _with_this_package() -> dict[str, str]:
    """The environment, in which a child process finds this package wherever it was started."""
    root = str(Path(__file__).parents[2])
    search_path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": search_path, "TF_CPP_MIN_LOG_LEVEL": "3"}


def check_reachable(url: str, timeout: float = PROBE_SECONDS) -> None:
    """Checks that a host answers, be it with a refusal.

    The question is asked on a thread, as looking up a name has no time limit of its own.

    Args:
        url: an address at the host.
        timeout: seconds, for all of it.

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


def _main(url: str, target: Path) -> None:
    manager = import_tfds().download.DownloadManager(download_dir=str(target.parent))
    Path(manager.download(url)).replace(target)


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
