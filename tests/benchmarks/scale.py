"""Training at scale: made-up data with the shape of MovieLens 20M, both losses that fit it.

Every measurement has a process of its own. Memory is what the process takes at its peak beyond
what it held before any rating: the ratings themselves (16 bytes each), the batches, the model, the
optimizer, JAX and its compiler. What of it does not depend on the number of ratings is the same
with 1 million and with 20: the difference is what a rating takes, and that has the target.
"""

import time

from deeprec.config import LossName, ModelConfig, TrainingConfig
from deeprec.data.dataset import TrainingData
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_data import DeviceData
from deeprec.training.forward import programs_of, weights_of
from deeprec.training.train import train
from deeprec.training.validation import EvaluationRows, Evaluator
from tests.benchmarks.data import SEED
from tests.benchmarks.harness import Result, call, in_turn
from tests.benchmarks.memory import forget_peak, peak_bytes, resident_bytes
from tests.benchmarks.ratings import Size, make_movies, make_ratings, make_users

MILLION = 1_000_000
BATCH_SIZE = 1000
LARGE_BATCH_SIZE = 10_000
EVALUATED_ROWS = 20_000
TIMES_PER_RATING = 1.3
TIMES_PER_STEP = 1.5
BYTES_PER_RATING = 48.0
WARM_EPOCHS = 2

Measured = dict[str, float]

RANKING_LOSS: LossName = "in_batch_softmax"
"""The only ranking loss whose step does not grow with the catalog."""


def measure(*, quick: bool) -> list[Result]:
    """The three sizes, a large batch, and a tenth of the catalog."""
    unit, users, movies = (2_000, 2_000, 1_200) if quick else (MILLION, 138_000, 27_000)
    whole = {"users": users, "movies": movies}
    tenth = {"users": users // 10, "movies": movies // 10}
    sizes = [(count * unit, BATCH_SIZE) for count in (1, 5, 20)]
    runs = {
        (ratings, batch_size): call(
            "scale:run", {"ratings": ratings, "batch_size": batch_size, **whole}
        )
        for ratings, batch_size in [*sizes, (20 * unit, LARGE_BATCH_SIZE)]
    }
    few, many = sizes[0], sizes[-1]
    ranking = {
        size: call(
            "scale:run",
            {"ratings": size[0], "batch_size": BATCH_SIZE, "loss": RANKING_LOSS, **whole},
        )
        for size in (few, many)
    }
    return [
        *(_speed(*size, "rating", measured) for size, measured in runs.items()),
        *(_speed(*size, RANKING_LOSS, measured) for size, measured in ranking.items()),
        _per_rating(few[0], many[0], runs[few], runs[many]),
        _per_step(unit, tenth, whole, repeats=1 if quick else 3),
        _memory_per_rating(few[0], many[0], runs[few], runs[many]),
        *(_peak_memory(size[0], runs[size]) for size in sizes),
        *(_evaluation(size[0], runs[size]) for size in (few, many)),
    ]


def run(
    *, ratings: int, users: int, movies: int, batch_size: int, loss: LossName = "rating"
) -> Measured:
    """Trains a first epoch, which compiles, and then warm ones; evaluates some of the rows."""
    size = Size(ratings=ratings, users=users, movies=movies)
    user_table, movie_table = make_users(size), make_movies(size)
    before = resident_bytes() or 0
    rows = make_ratings(size)
    with_ratings = resident_bytes() or 0
    forget_peak()  # making the ratings takes more than training on them may
    model = RetrievalModel.for_tables(user_table, movie_table, ModelConfig(), seed=SEED)
    data = DeviceData(
        TrainingData(users=user_table, movies=movie_table, train=rows, validation=None)
    )
    ended: list[float] = []
    train(
        model,
        data,
        TrainingConfig(epochs=1 + WARM_EPOCHS, batch_size=batch_size, loss=loss),
        on_epoch=lambda *_: ended.append(time.perf_counter()),
    )
    peak = peak_bytes() or 0
    evaluated = EvaluationRows.of(rows[:EVALUATED_ROWS], user_table, movie_table)
    tables = data.tables(programs_of(model))
    evaluator = Evaluator(model, *tables, evaluated, split="val", config=TrainingConfig())
    return {
        "epoch_seconds": (ended[-1] - ended[0]) / WARM_EPOCHS,
        "bytes": float(peak - before),
        "bytes_beyond_ratings": float(peak - with_ratings),
        "evaluation_seconds": _warm_evaluation(evaluator, model),
    }


def _warm_evaluation(evaluator: Evaluator, model: RetrievalModel) -> float:
    weights = weights_of(model)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        evaluator.evaluate(weights, epoch=1)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _speed(ratings: int, batch_size: int, loss: LossName, measured: Measured) -> Result:
    return Result(
        what=f"{ratings:,} ratings, {loss}, batch {batch_size:,}: a million ratings and epoch",
        ours=measured["epoch_seconds"] / (ratings / MILLION),
    )


def _per_rating(few: int, many: int, of_few: Measured, of_many: Measured) -> Result:
    return Result(
        what=f"time per rating, {many:,} ratings of the same catalog",
        ours=1e6 * of_many["epoch_seconds"] / many,
        against=1e6 * of_few["epoch_seconds"] / few,
        unit="µs",
        opponent=f"{few:,} ratings",
        at_most=TIMES_PER_RATING,
    )


def _per_step(ratings: int, small: dict[str, int], large: dict[str, int], repeats: int) -> Result:
    """Both catalogs in turn, with the same number of ratings, so of steps."""

    def epoch_seconds(catalog: dict[str, int]) -> float:
        arguments = {"ratings": ratings, "batch_size": BATCH_SIZE, **catalog}
        return float(call("scale:run", arguments)["epoch_seconds"])

    pairs = in_turn(lambda: epoch_seconds(large), lambda: epoch_seconds(small), repeats)
    return Result(
        what=f"an epoch with {large['users']:,} users and {large['movies']:,} movies",
        opponent=f"{small['users']:,} and {small['movies']:,}",
        at_most=TIMES_PER_STEP,
        **pairs.medians(),
    )


def _memory_per_rating(few: int, many: int, of_few: Measured, of_many: Measured) -> Result:
    return Result(
        what="memory that a rating takes",
        ours=(of_many["bytes"] - of_few["bytes"]) / (many - few),
        unit="bytes",
        at_most=BYTES_PER_RATING,
        note=f"the peak of {many:,} ratings minus that of {few:,}; all of them are held in main "
        "memory (16 bytes each) and in batches",
    )


def _peak_memory(ratings: int, measured: Measured) -> Result:
    return Result(
        what=f"{ratings:,} ratings: peak memory beyond the tables",
        ours=measured["bytes"] / 2**20,
        unit="MB",
        note=f"{measured['bytes'] / ratings:.1f} bytes a rating, the compiler's memory included; "
        f"{measured['bytes_beyond_ratings'] / ratings:.1f} without the ratings themselves",
    )


def _evaluation(ratings: int, measured: Measured) -> Result:
    return Result(
        what=f"{ratings:,} ratings: one evaluation of {min(ratings, EVALUATED_ROWS):,} rows",
        ours=measured["evaluation_seconds"],
    )
