"""Real tracking servers that die and hang."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Self

from tests.mlflow_database import empty_database


@contextmanager
def answering(status: int, body: bytes = b"") -> Iterator[str]:
    """The address of a server that answers every request so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_HEAD = do_POST = do_GET  # noqa: N815

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class MlflowServer:
    """A real ``mlflow server`` on loopback, in a process group of its own.

    Entered, it is started; left, it is killed. Its database and artifacts outlive it. It runs
    without the eight processes for jobs of generative models, of which tracking needs none.

    Args:
        folder: of its database and log.
        artifact_root: where clients shall store artifacts themselves; the server takes them when
            None.
    """

    def __init__(self, folder: Path, *, artifact_root: str | None = None) -> None:
        self.folder = folder
        self.artifact_root = artifact_root
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        database = self.folder / "mlflow.db"
        if not database.exists():
            database.write_bytes(empty_database())
        command = [sys.executable, "-m", "mlflow", "server"]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{database}"]
        if self.artifact_root is None:
            command += ["--artifacts-destination", str(self.folder / "artifacts")]
        else:
            command += ["--default-artifact-root", self.artifact_root, "--no-serve-artifacts"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )
        self.wait_until_it_answers()

    def kill(self) -> None:
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Have it accept connections and answer none."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it answer again; it may be about to replace what hung for long."""
        self._signal(signal.SIGCONT)
        time.sleep(2)
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 120
        while not self.answers():
            assert time.monotonic() < deadline, self._log.read_text(encoding="utf-8")
            time.sleep(0.2)

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.settimeout(5)
                connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                return b"200" in connection.recv(100)
        except OSError:
            return False

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)
