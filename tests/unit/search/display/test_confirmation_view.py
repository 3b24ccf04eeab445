"""The live view of a confirmation, and its lines in a pipe."""

import pytest
from rich.cells import cell_len

from search.display.confirmation_view import ConfirmationProgress, ConfirmationView
from search.display.tally import ConfirmationTally
from tests.unit.search.terminals import Clock, Pipe, drawn

FIRST, SECOND = "trial 34 (64, 32)", "the tutorial's (32,)"


def busy() -> ConfirmationTally:
    """One of three seeds of the second contender is trained."""
    clock = Clock()
    tally = ConfirmationTally({FIRST: 25, SECOND: 30}, 3, clock=clock)
    for accuracy in (0.33, 0.34, 0.35):
        tally.start(FIRST, 0, "validated")
        clock.seconds += 5
        tally.finish(FIRST, accuracy, is_test=False)
    tally.start(SECOND, 0, "training rows, validated")
    assert tally.current is not None
    for epoch in range(1, 13):
        tally.current.advance(epoch, {"train_loss": 0.05 + 1 / epoch})
    clock.seconds += 3
    return tally


def lines(tally: ConfirmationTally, width: int = 80, height: int = 24) -> list[str]:
    return drawn(ConfirmationView(tally, name="a"), width, height)


def test_it_shows_how_far_all_and_this_one_are_and_the_means() -> None:
    shown = lines(busy())
    assert shown[0].startswith("a  3 of 9 trainings  ━")
    assert shown[0].endswith("  0:00:30 left")
    assert shown[1] == "the tutorial's (32,), seed 1 of 3: training rows, validated"
    assert shown[2] == "epoch 12/30  3 s  train loss 0.1333  █▄▃▂▂▂▁▁▁▁▁▁"
    rows = [" ".join(line.split()) for line in shown[4:]]
    assert rows == [
        "contender epochs seeds mean over seeds",
        "trial 34 (64, 32) 25 3/3 0.3400 ± 0.0100",
        "the tutorial's (32,) 30 0/3",
    ]


def test_tests_have_a_row_once_there_are_any() -> None:
    tally = busy()
    tally.finish(SECOND, 0.3, is_test=False)
    assert lines(tally)[1] == "between two trainings"
    tally.start(FIRST, 0, "tested once")
    assert "compiles" in lines(tally)[2]
    tally.finish(FIRST, 0.32, is_test=True)
    assert lines(tally)[-1].split() == ["test", "of", *FIRST.split(), "1/3", "0.3200"]


@pytest.mark.parametrize("width", [8, 30, 60, 80, 200])
@pytest.mark.parametrize("height", [4, 9, 24])
def test_it_fits_any_terminal(width: int, height: int) -> None:
    shown = lines(busy(), width, height)
    assert max(cell_len(line) for line in shown) <= width
    assert len(shown) < height


def test_a_pipe_gets_one_line_a_training_with_its_result_and_seconds() -> None:
    pipe, clock = Pipe(width=20), Clock()
    progress = ConfirmationProgress(pipe.screen, {SECOND: 30}, 2, name="a", clock=clock)
    with progress.shown():
        progress.finished(SECOND, 0.31, is_test=False)  # was kept
        progress.started(SECOND, 1, "training rows, validated")
        progress.advanced(1, {"train_loss": 0.1})
        clock.seconds += 4.5
        progress.finished(SECOND, 0.32, is_test=False)
        progress.started(SECOND, 0, "tested once")
        progress.finished(SECOND, None, is_test=True)
        progress.started(SECOND, 0, "as its towers were lost")
        progress.made_again()
    start = f"training {SECOND} with seed"
    assert pipe.lines == [
        f"{start} 2 for 30 epochs: training rows, validated: accuracy 0.3200  4.5 s",
        f"{start} 1 for 30 epochs: tested once: collapsed  0.0 s",
        f"{start} 1 for 30 epochs: as its towers were lost",
    ]
