"""Long work says how far it is, and how long it will take, in few lines."""

import pytest

from deeprec.sources.pace import Pace, in_words


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now


class Worker:
    """Works at a constant rate, and reports every so many rows."""

    def __init__(self, total: int, *, a_second: float) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        self.pace = Pace(
            total, "ratings read", self.lines.append, then="now they are sorted", clock=self.clock
        )
        self.a_second = a_second
        self.done = 0

    def work(self, rows: int, step: int) -> None:
        for _ in range(0, rows, step):
            self.done += step
            self.clock.now += step / self.a_second
            self.pace(self.done)


def test_time_left_follows_from_the_rate() -> None:
    worker = Worker(20_000_000, a_second=4_000)
    worker.work(rows=100_000, step=1_000)
    first = worker.lines[0]
    assert first == "40,000 of 20,000,000 ratings read, about 83 minutes left"


def test_a_line_comes_every_ten_seconds() -> None:
    worker = Worker(20_000_000, a_second=5_000)
    worker.work(rows=1_000_000, step=1_000)  # 200 seconds
    assert len(worker.lines) == 20


def test_what_came_before_the_first_row_does_not_count() -> None:
    worker = Worker(1_000_000, a_second=5_000)
    worker.clock.now += 3_600
    worker.work(rows=100_000, step=1_000)
    assert "about 3 minutes left" in worker.lines[-1]


def test_the_end_is_always_announced() -> None:
    worker = Worker(2_000, a_second=5_000)
    worker.work(rows=2_000, step=1_000)
    assert worker.lines == ["2,000 of 2,000 ratings read; now they are sorted"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "about 2 seconds"),
        (20, "about 20 seconds"),
        (89, "about 89 seconds"),
        (90, "about 2 minutes"),
        (3_300, "about 55 minutes"),
        (5_400, "about 1.5 hours"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
