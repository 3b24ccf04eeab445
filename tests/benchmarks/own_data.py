"""Data of one's own at scale: from files to prepared arrays, to a first epoch, to warm epochs.

The ratings are those of ``scale``, written as CSV and as Parquet with a table of items beside them.
Every measurement has a process of its own.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from deeprec.config import ModelConfig, TrainingConfig
from deeprec.data.dataset import split
from deeprec.events.description import DataDescription, FilesDescription
from deeprec.events.loading import load_own
from deeprec.events.proposing import propose
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_data import DeviceData
from deeprec.training.train import train
from tests.benchmarks.data import SEED
from tests.benchmarks.harness import Result, call
from tests.benchmarks.memory import peak_bytes
from tests.benchmarks.ratings import Size, make_ratings
from tests.benchmarks.scale import BATCH_SIZE, MILLION, WARM_EPOCHS

SECONDS = {"csv": 60.0, "parquet": 20.0}
GIGABYTES = 6.0
TO_FIRST_EPOCH = 15.0
TIMES_SCALE = 1.1


def measure(*, quick: bool) -> list[Result]:
    """20 million rows in both formats, their training, and 1.5 million rows to a first epoch."""
    unit, users, items = (2_000, 2_000, 1_200) if quick else (MILLION, 138_000, 27_000)
    with tempfile.TemporaryDirectory() as name:
        many, few = Path(name) / "many", Path(name) / "few"
        call("own_data:write", {"folder": str(many), "rows": 20 * unit, "counts": [users, items]})
        call(
            "own_data:write", {"folder": str(few), "rows": unit * 3 // 2, "counts": [users, items]}
        )
        results = [
            result
            for kind in SECONDS
            for result in _preparing(call("own_data:prepare", _of(many, kind)), 20 * unit, kind)
        ]
        trained = call("own_data:first_epochs", _of(many, "parquet"))
        started = call("own_data:first_epochs", _of(few, "csv"))
    arguments = {"ratings": 20 * unit, "users": users, "movies": items, "batch_size": BATCH_SIZE}
    scale = call("scale:run", arguments)
    return [
        *results,
        Result(
            what=f"{unit * 3 // 2:,} rows, CSV: from the files to the first epoch",
            ours=started["first_epoch"],
            at_most=TO_FIRST_EPOCH,
        ),
        Result(
            what=f"{20 * unit:,} rows: training, a row and epoch",
            ours=1e6 * trained["epoch_seconds"] / trained["rows"],
            against=1e6 * scale["epoch_seconds"] / (20 * unit),
            unit="µs",
            opponent="`scale`",
            at_most=TIMES_SCALE,
        ),
    ]


def _of(folder: Path, kind: str) -> dict[str, str]:
    return {"folder": str(folder), "kind": kind}


def _preparing(measured: dict[str, float], rows: int, kind: str) -> list[Result]:
    what = f"{rows:,} rows, {kind}"
    return [
        Result(
            what=f"{what}: describe and prepare",
            ours=measured["seconds"],
            at_most=SECONDS[kind],
            note=f"describe alone takes {measured['describe']:.3g} s",
        ),
        Result(what=f"{what}: peak memory", ours=measured["peak"], unit="GiB", at_most=GIGABYTES),
    ]


def write(*, folder: str, rows: int, counts: list[int]) -> None:
    """Both formats of a log, and a table of items."""
    place = Path(folder)
    place.mkdir()
    users, items = counts
    ratings = make_ratings(Size(ratings=rows, users=users, movies=items))
    log = pa.table(
        {
            "user": ratings.user_id,
            "item": ratings.movie_id,
            "rating": ratings.rating * 4 + 1,
            "time": np.int64(1_600_000_000) + ratings.timestamp,
        }
    )
    pa.parquet.write_table(log, place / "log.parquet")
    pa.csv.write_csv(log, place / "log.csv")
    rng = np.random.default_rng(SEED)
    words = np.array([f"word{number}" for number in range(5000)])
    table = {
        "item": np.arange(1, items + 1),
        "title": [" ".join(each) for each in words[rng.integers(0, 5000, (items, 4))]],
        "genre": words[rng.integers(0, 20, items)],
        "price": rng.lognormal(2, 1, items).round(2),
    }
    pa.parquet.write_table(pa.table(table), place / "items.parquet")


def _described(kind: str) -> DataDescription:
    return DataDescription.model_validate(
        {
            "interactions": f"log.{kind}",
            "user": "user",
            "item": "item",
            "time": "time",
            "label": {"column": "rating", "range": [1.0, 5.0], "relevant": 5.0},
            "items": {
                "table": "items.parquet",
                "id": "item",
                "title": "title",
                "features": {"title": "text", "genre": "category", "price": "number"},
            },
        }
    )


def prepare(*, folder: str, kind: str) -> dict[str, float]:
    """Seconds of describing and of preparing, and the peak of the memory in GiB."""
    place = Path(folder)
    started = time.perf_counter()
    items = FilesDescription(path="items.parquet")
    propose(FilesDescription(path=f"log.{kind}"), place, items=items)
    described = time.perf_counter() - started
    load_own(_described(kind), place, cache_dir=place / f"cache-{kind}", announce=_unheard)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "describe": described, "peak": (peak_bytes() or 0) / 2**30}


def first_epochs(*, folder: str, kind: str) -> dict[str, float]:
    """Seconds from the files to the end of the first epoch, and of a warm epoch."""
    place, started = Path(folder), time.perf_counter()
    dataset = load_own(
        _described(kind), place, cache_dir=place / f"cache-{kind}", announce=_unheard
    )
    rows = split(dataset).train
    data = dataset.training(rows)
    model = RetrievalModel.for_tables(data.users, data.movies, ModelConfig(), seed=SEED)
    ended: list[float] = []
    train(
        model,
        DeviceData(data),
        TrainingConfig(epochs=1 + WARM_EPOCHS, batch_size=BATCH_SIZE),
        on_epoch=lambda *_: ended.append(time.perf_counter()),
    )
    epoch_seconds = (ended[-1] - ended[0]) / WARM_EPOCHS
    return {
        "first_epoch": ended[0] - started,
        "epoch_seconds": epoch_seconds,
        "rows": float(len(rows)),
    }


def _unheard(_line: str) -> None:
    """What is announced is not looked at."""
