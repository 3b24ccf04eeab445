"""The champion over HTTP, as ``make serve`` has it, under 50 requests at once.

Beside it, by the same command, a model of MLflow that computes nothing: it answers with a table of
ten rows that it made when it was loaded. What is slower than that is ours; the rest is MLflow's.
Requests come from a process of their own, each over a connection that stays open, the next one as
soon as an answer is there. Load and server share the cores.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import aiohttp
import numpy as np

from search.analysis.verdict import Confirmed
from search.records.results import RetrainRecord
from search.tracking.tracker import open_tracker
from tests.benchmarks.harness import MeasurementError, Result, call
from tests.benchmarks.recommend import made
from tests.flows.serving import environment, listening, serving
from tests.unit.search.tracking.support import CONTEXT, EVIDENCE

AT_ONCE = 50
ITEMS, USERS = 1_682, 943
RETRAINED = RetrainRecord(
    trial=0, parameters={}, epochs=1, seed=1, metrics={"test_loss": 0.1}, started_ms=1, ended_ms=2
)
EMPTY = """
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

ROW = {
    "user_id": 1, "rank": 1, "movie_id": 1, "title": "item 1000", "score": 0.123456789,
    "row": 0, "known_user": True, "error": None,
}

class Empty(PythonModel):
    table = pd.DataFrame([ROW] * 10)

    def predict(self, context, model_input, params=None):
        return self.table

set_model(Empty())
"""


def measure(*, quick: bool) -> list[Result]:
    """Both servers run, one of them is asked at a time, in turn."""
    requests, repeats = (100, 1) if quick else (2_000, 3)
    with tempfile.TemporaryDirectory(prefix="deeprec-benchmark-") as name, ExitStack() as both:
        uris = {
            "ours": both.enter_context(_champion(Path(name, "champion"))),
            "empty": both.enter_context(_empty(Path(name, "empty"))),
        }
        found: dict[str, list[dict[str, float]]] = {server: [] for server in uris}
        for repeat in range(repeats + 1):
            for server, uri in uris.items():
                load = call("serving:load", {"uri": uri, "requests": requests})
                if repeat:  # the first compiles
                    found[server].append(load)
    return [*_results(found, requests)]


def _results(found: dict[str, list[dict[str, float]]], requests: int) -> Iterator[Result]:
    for name, unit in (("rate", "requests/s"), ("p50", "ms"), ("p99", "ms")):
        ours, empty = (median(load[name] for load in found[server]) for server in found)
        what = "requests a second" if name == "rate" else f"{name} of a request"
        singles = ", ".join(f"{load[name]:.3g}" for load in found["ours"])
        yield Result(
            what=f"{what} over HTTP, {AT_ONCE} at once",
            ours=ours,
            unit=unit,
            against=empty,
            opponent="an empty model of MLflow",
            is_rate=name == "rate",
            note=f"medians of runs of {requests:,} requests for ten of {ITEMS:,} items; ours: "
            f"{singles}",
        )


def load(*, uri: str, requests: int) -> dict[str, float]:
    """Requests a second, and percentiles of the milliseconds that one takes."""
    users = np.random.default_rng(0).integers(1, USERS, requests).tolist()
    started = time.perf_counter()
    times = asyncio.run(_ask_all(f"{uri}/invocations", iter(users)))
    seconds = time.perf_counter() - started
    p50, p99 = np.percentile(times, [50, 99]) * 1e3
    return {"rate": requests / seconds, "p50": float(p50), "p99": float(p99)}


async def _ask_all(url: str, users: Iterator[int]) -> list[float]:
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as session:
        asking = (_ask(session, url, users) for _ in range(AT_ONCE))
        return [seconds for each in await asyncio.gather(*asking) for seconds in each]


async def _ask(session: aiohttp.ClientSession, url: str, users: Iterator[int]) -> list[float]:
    """One client: as soon as it is answered, it asks for the next user."""
    times = []
    for user in users:
        started = time.perf_counter()
        async with session.post(url, json={"dataframe_records": [{"user_id": user}]}) as answer:
            body = await answer.read()
        times.append(time.perf_counter() - started)
        if answer.status != 200 or len(json.loads(body)["predictions"]) != 10:
            raise MeasurementError(f"status {answer.status}: {body[:200]!r}")
    return times


@contextmanager
def _champion(folder: Path) -> Iterator[str]:
    """The address of a champion, served by ``search.serve``."""
    folder.mkdir()
    made(ITEMS, USERS).save(folder / "recommender")
    warned: list[str] = []
    tracker = open_tracker(None, CONTEXT, folder=folder / "mlruns", warn=warned.append)
    run_id = tracker.log_retrain(RETRAINED, None)
    worth = Confirmed(
        mean=0.3, deviation=0.01, seeds=3, data_fingerprint=CONTEXT.data_fingerprint, split="random"
    )
    if run_id is None or not tracker.publish(run_id, folder / "recommender", worth, EVIDENCE):
        raise MeasurementError(f"no champion was made: {' '.join(warned)}")
    with serving(folder, folder / "mlruns") as served:
        yield served.uri


@contextmanager
def _empty(folder: Path) -> Iterator[str]:
    """The address of the empty model, served by the command that ``search.serve`` becomes."""
    from mlflow.pyfunc import save_model

    folder.mkdir()
    code = folder / "empty.py"
    code.write_text(EMPTY, encoding="utf-8")
    save_model(folder / "model", python_model=str(code), pip_requirements=["pandas"])
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["--model-uri", str(folder / "model")]
    with listening(command, folder, environment()) as served:
        yield served.uri
