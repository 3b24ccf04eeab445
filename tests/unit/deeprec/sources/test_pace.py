"""Long work says how far it is, and how long it will take, in few lines."""

from deeprec.sources.pace import Pace, in_words


class Worker:
    """Works at a constant rate, and reports every thousand rows."""

    def __init__(self, total: int) -> None:
        self.now, self.done, self.lines = 1000.0, 0, list[str]()
        then = "now they are sorted"
        self.pace = Pace(
            total, "ratings read", self.lines.append, then=then, clock=lambda: self.now
        )

    def work(self, rows: int, a_second: float) -> None:
        for _ in range(0, rows, 1_000):
            self.done += 1_000
            self.now += 1_000 / a_second
            self.pace(self.done)


def test_a_line_every_ten_seconds_says_the_time_left_and_one_the_end() -> None:
    worker = Worker(20_000_000)
    worker.work(rows=800_000, a_second=4_000)  # 200 seconds
    assert worker.lines[0] == "40,000 of 20,000,000 ratings read, about 83 minutes left"
    assert len(worker.lines) == 20
    worker = Worker(2_000)
    worker.work(rows=2_000, a_second=5_000)
    assert worker.lines == ["2,000 of 2,000 ratings read; now they are sorted"]


def test_what_came_before_the_first_row_does_not_count() -> None:
    worker = Worker(1_000_000)
    worker.now += 3_600
    worker.work(rows=100_000, a_second=5_000)
    assert "about 3 minutes left" in worker.lines[-1]


def test_durations_in_words() -> None:
    words = {0: "2 seconds", 20: "20 seconds", 89: "89 seconds", 90: "2 minutes"}
    words |= {3_300: "55 minutes", 5_400: "1.5 hours"}
    assert {seconds: in_words(seconds) for seconds in words} == {
        seconds: f"about {each}" for seconds, each in words.items()
    }
