"""Workers on a cluster, which Ray places, gives resources to, and tells of when they are lost.

A worker there is the very process that a worker of this machine is, started by an actor on a node
(:class:`search.execution.processes.Host`). The supervisor conducts both alike. What runs next is
decided in the study's database, so Ray is told of no trial.
"""

import logging
import os
import pickle
import secrets
import signal
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from search.config.addresses import call
from search.config.reading import LOCAL, Placement
from search.execution.processes import PATIENCE_SECONDS, Host, Place
from search.execution.runtime import available_cores, host_environment
from search.execution.workers import Assignment, Ended, Event, Handle, Pool, Stop, Warned
from search.records.errors import InputError
from search.records.events import Outcome
from search.records.trials import counted
from search.scheduling.locks import worker_name

HEAR_SECONDS = 5.0  # how long a host waits for a word of its worker
WAIT_SECONDS = 10.0  # a worker that is not placed by then is worth a line
OBJECT_STORE_BYTES = 80_000_000  # about the least of Ray's; no object of ours is large

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to Ray's makers
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # what dies on a node is told by the supervisor, in a line
}


def require_ray() -> None:
    """InputError unless Ray is installed; it is not imported."""
    if find_spec("ray") is None:
        raise InputError(
            "--cluster needs the package ray, which is not installed; install it: "
            f"{call('pip', 'install')} '.[ray]'"
        )


def connect(address: str) -> None:
    """Connects this process with a cluster, or makes one of this machine; once.

    InputError if it cannot.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        # A secret of this process's environment; Ray would write one into the user's home.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        options |= {
            "num_cpus": available_cores(),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    import ray

    if ray.is_initialized():
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        cause = " ".join(str(error).split())
        raise InputError(
            f"--cluster {address} cannot be used: {cause[:300]}; is this machine a node of it "
            "(ray start --address=...), with the same RAY_AUTH_MODE and token?"
        ) from error
    finally:
        with suppress(ValueError):  # outside of the main thread nothing was changed
            signal.signal(signal.SIGTERM, before)  # Ray's own would end the search untidily


def fitting(placement: Placement) -> int:
    """How many workers the cluster has room for now, at least one."""
    assert placement.cluster is not None
    connect(placement.cluster)
    import ray  # after what it reads from the environment was set

    wanted = {"CPU": placement.cpus, "GPU": placement.gpus}
    return max(
        1,
        sum(
            min(int(node["Resources"].get(kind, 0) / each) for kind, each in wanted.items() if each)
            for node in ray.nodes()
            if node["Alive"]
        ),
    )


class ClusterWorker(Handle):
    """A worker that is on a node, or waits for one with room for it."""

    def __init__(self, host: Any, assignment: Assignment) -> None:
        self.name = f"waiting/{uuid.uuid4().hex}"  # until it is placed
        self.is_placed = False
        self.answer = host.place.remote()  # what the host says next
        self._host = host
        self._assignment = assignment
        self._how: str | None = None  # it ended, where Ray says so

    def heard(self) -> Iterator[Event | None]:
        """What its host has just answered; None once it is gone."""
        import ray

        try:
            answer = ray.get(self.answer)
        except ray.exceptions.ActorUnavailableError:  # for a moment
            answer = []
        except ray.exceptions.RayError as error:
            self.is_lost = "node has died" in str(error)
            self._how = "its node was lost" if self.is_lost else "its host on the cluster ended"
            yield None
            return
        self.signs += 1
        if isinstance(answer, Place):
            self._begin(answer)
            answer = []
        if None not in answer:
            self.answer = self._host.hear.remote(HEAR_SECONDS)
        for message in answer:
            yield None if message is None else pickle.loads(message)  # noqa: S301  (of our worker)

    def stop(self, reason: str) -> None:
        """Has it end after its epoch."""
        self._tell(Stop(reason))

    def kill(self) -> None:
        """Ends it at once, and its host."""
        import ray

        with suppress(Exception):  # Ray is gone
            ray.kill(self._host)

    def join(self) -> str:
        """Waits for its end, with bounded patience; returns how it ended, in words."""
        import ray

        if self._how is None and self.is_placed:
            with suppress(ray.exceptions.RayError):
                self._how = ray.get(self._host.end.remote(), timeout=2 * PATIENCE_SECONDS)
        self.kill()
        return self._how or "its host on the cluster ended"

    def _begin(self, place: Place) -> None:
        """Gives the worker its name and its assignment, in terms of its machine."""
        self.is_placed = True
        self.name = worker_name(place.pid, place.machine)
        given = replace(self._assignment, worker=self.name)
        if given.deadline is not None:
            given = replace(given, deadline=given.deadline + place.clock - time.monotonic())
        if given.shared is not None:
            given = replace(given, towers_folder=Path(place.folder))
        self._tell(given)

    def _tell(self, message: Assignment | Stop) -> None:
        if self.is_placed:
            self._host.tell.remote(pickle.dumps(message))


class ClusterPool(Pool[ClusterWorker]):
    """Workers that Ray places on the nodes of a cluster; entered, it is connected with it."""

    def __init__(
        self,
        placement: Placement,
        variables: Mapping[str, str],
        *,
        module: str = "search.execution.worker_process",
    ) -> None:
        super().__init__()
        self._placement = placement
        self._given = (module, host_environment(placement, variables))
        self._over: Outcome | None = None  # nothing more is to be done by workers that wait
        self._waiting_since: float | None = None
        self._was_said = False

    def __enter__(self) -> Self:
        assert self._placement.cluster is not None
        connect(self._placement.cluster)
        return self

    def __exit__(self, *exception: object) -> None:
        """Leaves no worker behind, and the cluster."""
        import ray

        super().__exit__(*exception)
        ray.shutdown()

    def start(self, assignment: Assignment) -> None:
        """Asks for one more worker."""
        import ray

        host = ray.remote(Host).options(
            num_cpus=self._placement.cpus,
            num_gpus=self._placement.gpus or None,
            max_restarts=0,  # the supervisor replaces what dies, with the trial in mind
            max_concurrency=4,
        )
        self.workers.append(ClusterWorker(host.remote(*self._given), assignment))

    def events(self, patience_seconds: float) -> Iterator[tuple[ClusterWorker, Event | None]]:
        """Events of the workers that have any, after waiting for the first for a while."""
        import ray

        answers = {worker.answer: worker for worker in self.workers}
        ray.wait(list(answers), timeout=patience_seconds)
        ready, _ = ray.wait(list(answers), num_returns=len(answers), timeout=0)
        for answer in ready:
            worker = answers[answer]
            for event in worker.heard():
                if isinstance(event, Ended) and event.outcome.state != "interrupted":
                    self._over = event.outcome
                yield worker, event
        yield from self._unplaced()

    def stop(self, reason: str) -> None:
        """Has all workers end after their epochs; those that wait are not placed any more."""
        self._over = self._over or Outcome(state="interrupted", reason=reason)
        super().stop(reason)

    def _unplaced(self) -> Iterator[tuple[ClusterWorker, Event | None]]:
        """What is to be said of workers that wait for room on the cluster."""
        waiting = [worker for worker in self.workers if not worker.is_placed]
        if not waiting:
            self._waiting_since, self._was_said = None, False
            return
        for worker in waiting:
            worker.signs += 1  # they have no process that could be silent
            if self._over is not None:
                yield worker, Ended(self._over)
                yield worker, None
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since > WAIT_SECONDS and not self._was_said:
            self._was_said = True
            yield waiting[0], Warned(self._wanting(len(waiting)))

    def _wanting(self, waiting: int) -> str:
        place = self._placement
        share = f" and {place.gpus:g} GPU" if place.gpus else ""
        return (
            f"{waiting} of {counted(len(self.workers), 'worker')} wait for a node of the cluster "
            f"with room for {counted(place.cpus, 'CPU')}{share}; the others go on"
        )
