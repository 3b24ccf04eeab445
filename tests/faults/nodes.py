"""A cluster of Ray on loopback whose nodes are added, and killed as a power cut would."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.faults.scene import send
from tests.faults.servers import free_port

START_SECONDS = 60.0
SMALL = ("--object-store-memory", "80000000", "--disable-usage-stats", "--block")


class Nodes:
    """A head, which places workers and runs none, and nodes with two CPUs of Ray each.

    Args:
        environment: of the nodes, and so of the workers that run there.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._folder = tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp")  # a short path
        self.address = f"127.0.0.1:{free_port()}"
        self._head: subprocess.Popen[bytes] | None = None
        self.nodes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        port = self.address.partition(":")[2]
        flags = ("--head", "--port", port, "--num-cpus", "0", "--include-dashboard", "false")
        self._head = self._start(*flags, "--temp-dir", self._folder.name)
        deadline = time.monotonic() + START_SECONDS
        while not any(Path(self._folder.name).glob("session_latest/sockets/raylet*")):
            assert time.monotonic() < deadline, "the head does not start"
            time.sleep(0.1)
        return self

    def __exit__(self, *_exception: object) -> None:
        for process in [*self.nodes, *filter(None, [self._head])]:
            self._kill(process)
        self._folder.cleanup()

    def add(self) -> None:
        """Starts one more node, which joins in a few seconds."""
        self.nodes.append(self._start("--address", self.address, "--num-cpus", "2"))

    def kill(self, place: int) -> None:
        """Kills a node with all that runs on it, at once."""
        self._kill(self.nodes.pop(place))

    def _start(self, *flags: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *flags, *SMALL]
        return subprocess.Popen(
            [*command, "--node-ip-address", "127.0.0.1"],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """All descendants stop first, so that none sees another one end."""
        pids = _tree(process.pid)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                send(pid, number)
            pids = [*dict.fromkeys([*pids, *(each for pid in pids for each in _tree(pid))])]
        process.wait()


def _tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []  # it has ended
    return [pid, *(each for child in children for each in _tree(int(child)))]
