"""A cluster of Ray on this machine whose nodes are added, and killed as a power cut would."""

import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from tests.faults.scene import send

SMALL = 80_000_000
"""Bytes of a node's object store, about the least of Ray's."""


class Nodes:
    """A head, which places workers and runs none, and nodes with two CPUs of Ray each.

    Ray's own tests make their clusters so: a node takes a third of the time of ``ray start``.

    Args:
        environment: of the nodes, and so of the workers that run there.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._folder = tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp")  # a short path
        self._cluster: Any = None
        self.nodes: list[Any] = []

    def __enter__(self) -> Self:
        from ray.cluster_utils import Cluster

        Path(self._folder.name, "ray").mkdir()
        self._cluster = Cluster()
        with patch.dict(os.environ, RAY_TMPDIR=self._folder.name):
            self._start(num_cpus=0, include_log_monitor=False)
        return self

    def __exit__(self, *_exception: object) -> None:
        for node in [*self.nodes, self._cluster.head_node]:
            self._kill(node)
        self._folder.cleanup()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self) -> None:
        """Starts one more node, which joins in a moment."""
        self.nodes.append(self._start(num_cpus=2))

    def kill(self, place: int) -> None:
        """Kills a node with all that runs on it, at once."""
        self._kill(self.nodes.pop(place))

    def _start(self, **options: Any) -> Any:
        return self._cluster.add_node(
            **options,
            wait=False,
            include_dashboard=False,
            object_store_memory=SMALL,
            env_vars=dict(self._environment),
        )

    def _kill(self, node: Any) -> None:
        """All descendants stop first, so that none sees another one end."""
        processes = [info.process.pid for each in node.all_processes.values() for info in each]
        pids = [pid for root in processes for pid in _tree(root)]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                send(pid, number)
            pids = [*dict.fromkeys([*pids, *(each for pid in pids for each in _tree(pid))])]
        self._cluster.remove_node(node, allow_graceful=False)


def _tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []  # it has ended
    return [pid, *(each for child in children for each in _tree(int(child)))]
