"""The real server of a champion, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.config.addresses import PROJECT
from tests.faults.servers import free_port


@dataclass(frozen=True)
class Served:
    """A served champion."""

    uri: str
    pid: int

    def ask(self, *rows: dict[str, Any]) -> tuple[int, Any]:
        """The status and the body of the answer to a request of these rows."""
        request = urllib.request.Request(
            f"{self.uri}/invocations",
            json.dumps({"dataframe_records": list(rows)}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)["predictions"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)["message"]

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            with urllib.request.urlopen(f"{self.uri}/ping", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def environment() -> dict[str, str]:
    """Of commands: the packages of this checkout, the programs of this Python, no pickles."""
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


@contextmanager
def serving(folder: Path, mlruns: Path, *arguments: str) -> Iterator[Served]:
    """The server of ``search.serve``, in an empty folder, until it is no longer needed."""
    command = [sys.executable, "-m", "search.serve", *arguments]
    tracking = {"MLFLOW_TRACKING_URI": f"sqlite:///{mlruns / 'mlflow.db'}"}
    with listening(command, folder, environment() | tracking) as served:
        yield served


@contextmanager
def listening(
    command: Sequence[str], folder: Path, variables: Mapping[str, str]
) -> Iterator[Served]:
    """A server that is given its ``--port``, in a folder, until it is no longer needed."""
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    served = Served(f"http://127.0.0.1:{port}", process.pid)
    try:
        deadline = time.monotonic() + 120
        while not served.answers():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield served
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
