"""When a checkpoint is written: after two seconds, and never for more than 2 % of the time."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import jax.numpy as jnp
import pytest

from deeprec.training.epoch import TrainingState
from deeprec.training.forward import Weights
from deeprec.training.optimizers import OPTIMIZERS
from deeprec.training.progress import Progress
from search.execution.saving import ASSUMED_BYTES_PER_S, SAVE_EVERY_S, Saver
from search.storage.files import Checkpoint, write_checkpoint
from tests.unit.search.sample_records import curve


class Clock:
    """Moves when it is told to, and while a checkpoint is written."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.writing_seconds = 0.0
        self.written: list[float] = []

    def write(self, file: Path, checkpoint: Checkpoint) -> None:
        write_checkpoint(file, checkpoint)
        self.now += self.writing_seconds
        self.written.append(self.now)


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    module = "search.execution.saving"
    with (
        patch(f"{module}.time.monotonic", lambda: clock.now),
        patch(f"{module}.write_checkpoint", clock.write),
    ):
        yield clock


def progress(bytes_of_weights: int = 12) -> Progress:
    weights = Weights([jnp.zeros(bytes_of_weights // 4)], [jnp.zeros(1)])
    return Progress.start(TrainingState.start(weights, OPTIMIZERS["adagrad"], averages=False))


def saver(tmp_path: Path, warnings: list[str], **belongs_to: str) -> Saver:
    return Saver(tmp_path / "trial-0000.checkpoint", belongs_to, warnings.append)


def test_the_time_between_two_is_fifty_times_what_one_takes(tmp_path: Path, clock: Clock) -> None:
    made = saver(tmp_path, [])
    made.found(progress())
    assert not made.is_due()
    clock.now += SAVE_EVERY_S
    assert made.is_due()
    for writing, pause in ((0.03, SAVE_EVERY_S), (0.2, 10.0), (3.0, 150.0)):
        clock.writing_seconds = writing
        made.progress = progress()._replace(epoch=1)
        made.save(curve(5))
        clock.now += pause - 0.01
        assert not made.is_due()
        clock.now += 0.02
        assert made.is_due()


def test_the_first_of_a_large_model_waits_for_what_it_may_take(
    tmp_path: Path, clock: Clock
) -> None:
    made = saver(tmp_path, [])
    large = progress(30_000_000)
    made.found(large)
    clock.now += 50 * 3 * 30_000_000 / ASSUMED_BYTES_PER_S - 1
    assert not made.is_due()
    clock.now += 2
    assert made.is_due()


def test_the_same_progress_is_not_written_twice(tmp_path: Path, clock: Clock) -> None:
    made = saver(tmp_path, [])
    made.found(progress())
    made.progress = progress()._replace(epoch=1)
    made.save(curve(1))
    made.save(curve(1))
    assert len(clock.written) == 1


def test_the_curve_ends_with_the_progress_and_belongs_to_its_training(
    tmp_path: Path, clock: Clock
) -> None:
    made = saver(tmp_path, [], training="mine")
    made.found(progress())
    made.progress = progress()._replace(epoch=4)
    made.save(curve(5))  # the loss of the epoch in which a training diverges comes alone
    warnings: list[str] = []
    found, points = saver(tmp_path, warnings, training="mine").found(progress())
    assert (found.epoch, points, warnings) == (4, curve(5)[:4], [])
    other, none = saver(tmp_path, warnings, training="another").found(progress())
    assert (other.epoch, none) == (0, ())
    assert warnings == [
        "trial-0000.checkpoint is left out (it was made with another training); its trial starts "
        "anew"
    ]
