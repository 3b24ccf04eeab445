"""What a running search shows: live in a terminal, plain lines in a pipe, nothing when quiet."""

import io
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from search.progress import (
    LiveProgress,
    PlainProgress,
    Progress,
    Tally,
    configuration_text,
    make_progress,
    trial_line,
)
from search.trials import TrialRecord, TrialState
from tests.unit.search.records import curve, started, trial


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Screen:
    """A console whose text can be read: a terminal, or a pipe."""

    def __init__(self, width: int = 120, *, terminal: bool = True) -> None:
        self._file = io.StringIO()
        self.console = Console(file=self._file, force_terminal=terminal, width=width)

    @property
    def lines(self) -> list[str]:
        """What was written, without colors and cursor movements, spaces at the ends removed."""
        text = Text.from_ansi(self._file.getvalue()).plain
        return [line.rstrip() for line in text.splitlines()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def configured(number: int, state: TrialState = "complete", **changes: Any) -> TrialRecord:
    parameters = {"embedding_dimension": 32, "learning_rate": 0.05}
    return trial(number, state, parameters=parameters, **changes)


# --- counting and timing ----------------------------------------------------------------------


def test_complete_and_pruned_trials_are_finished_and_failed_ones_are_counted_apart() -> None:
    states: list[TrialState] = ["complete", "pruned", "pruned", "failed", "interrupted"]
    tally = Tally(10, 30, [trial(number, state) for number, state in enumerate(states)])
    assert tally.finished == 3
    assert (tally.count("pruned"), tally.count("failed")) == (2, 1)


def test_time_left_follows_the_pace_of_this_run_alone() -> None:
    clock = Clock()
    tally = Tally(10, 30, [trial(0), trial(1)], clock=clock)
    assert tally.seconds_left() is None, "no trial of this run has finished"
    clock.seconds += 60
    tally.finish(trial(2))
    tally.finish(trial(3, "pruned"))
    assert tally.seconds_left() == pytest.approx(6 * 30)


def test_failed_trials_cost_time_and_bring_nothing_nearer() -> None:
    clock = Clock()
    tally = Tally(3, 30, [], clock=clock)
    clock.seconds += 10
    tally.finish(trial(0, "failed"))
    assert tally.seconds_left() is None
    clock.seconds += 10
    tally.finish(trial(1))
    assert tally.seconds_left() == pytest.approx(2 * 20)


def test_no_time_is_left_when_there_are_more_trials_than_needed() -> None:
    tally = Tally(1, 30, [])
    tally.finish(trial(0))
    tally.finish(trial(1))
    assert tally.seconds_left() == 0


def test_each_running_trial_has_its_own_epochs_and_accuracies() -> None:
    tally = Tally(3, 10, [])
    tally.start(started(trial(0)))
    tally.start(started(trial(1)))
    for point in curve(10):
        tally.advance(0, point)
    tally.advance(1, curve(1)[0])
    assert (tally.running[0].epoch, len(tally.running[0].accuracies)) == (10, 2)
    assert (tally.running[1].epoch, tally.running[1].accuracies) == (1, [])
    tally.finish(trial(0))
    assert list(tally.running) == [1]


# --- live -------------------------------------------------------------------------------------


def live(screen: Screen, *, clock: Clock | None = None) -> tuple[LiveProgress, Clock]:
    """A view of a study of 50 trials of 30 epochs that holds three already."""
    clock = clock or Clock()
    done = [configured(0), configured(1, "pruned"), configured(2, "failed")]
    return LiveProgress(screen.console, Tally(50, 30, done, clock=clock)), clock


def test_the_view_shows_counts_epoch_accuracy_best_and_time_left() -> None:
    screen = Screen()
    progress, clock = live(screen)
    with progress:
        clock.seconds += 30
        progress.trial_finished(configured(3, value=0.3412, best_epoch=25), None)
        progress.trial_started(started(configured(4, layers=(128, 64))))
        for point in curve(7):
            progress.epoch_finished(4, point)
    assert "3 of 50 trials" in screen.text
    assert "1 pruned, 1 failed" in screen.text
    assert "0:23:30 left" in screen.text
    assert "trial 4  " in screen.text
    assert "(128, 64), embedding 32, learning rate 0.05" in screen.text
    assert "epoch 7/30, accuracy 0.1534, best 0.1534" in screen.text
    assert "best: trial 3" in screen.text
    assert "accuracy 0.3412, epoch 25" in screen.text


def test_every_worker_has_a_line_for_its_trial() -> None:
    screen = Screen()
    progress, _ = live(screen)
    with progress:
        for number in (5, 4):
            progress.trial_started(started(configured(number)))
        progress.epoch_finished(5, curve(7)[-1])
        progress.epoch_finished(4, curve(2)[-1])
    rows = [line for line in screen.lines if line.startswith("trial ")]
    assert [row.split()[1] for row in rows[-2:]] == ["4", "5"]
    assert rows[-2].endswith("epoch 2/30")
    assert rows[-1].endswith("epoch 7/30")


def test_a_trial_that_was_not_validated_yet_has_no_accuracy() -> None:
    screen = Screen()
    progress, _ = live(screen)
    with progress:
        progress.trial_started(started(configured(4)))
        progress.epoch_finished(4, curve(1)[0])
    assert any(line.endswith("epoch 1/30") for line in screen.lines)


def test_a_trial_that_finished_leaves_no_line_and_one_that_failed_says_why() -> None:
    screen = Screen()
    progress, _ = live(screen)
    with progress:
        progress.trial_finished(configured(3), None)
        progress.trial_finished(configured(4, "failed"), None)
    assert "trial 3 complete" not in screen.text
    assert "trial 4 failed: train_loss is not finite at epoch 3" in screen.text
    assert "1 pruned, 2 failed" in screen.text


def test_announced_lines_stand_above_the_view_as_they_are() -> None:
    screen = Screen()
    progress, _ = live(screen)
    with progress:
        progress.announce("warning: no [server] at https://host/[/b]")
    lines = screen.lines
    view = next(number for number, line in enumerate(lines) if "of 50 trials" in line)
    assert lines.index("warning: no [server] at https://host/[/b]") < view


def test_an_empty_study_is_shown_without_a_best() -> None:
    screen = Screen()
    with LiveProgress(screen.console, Tally(50, 30, [])):
        pass
    assert "0 of 50 trials" in screen.text
    assert "best" not in screen.text
    assert "left" not in screen.text


@pytest.mark.parametrize("width", [8, 20, 40, 80])
def test_the_view_fits_any_terminal(width: int) -> None:
    screen = Screen(width)
    progress, _ = live(screen)
    with progress:
        progress.trial_started(started(configured(4, layers=(256, 256, 128, 64))))
        for point in curve(30):
            progress.epoch_finished(4, point)
    assert screen.lines
    assert max(cell_len(line) for line in screen.lines) <= width


# --- plain ------------------------------------------------------------------------------------


def test_a_pipe_gets_one_line_a_trial_however_long() -> None:
    screen = Screen(width=30, terminal=False)
    done = [configured(0, value=0.31)]
    with PlainProgress(screen.console, Tally(4, 10, done)) as progress:
        progress.trial_started(started(configured(1)))
        progress.epoch_finished(1, curve(1)[0])
        progress.trial_finished(configured(1, value=0.33, best_epoch=10), None)
        progress.trial_finished(configured(2, "pruned", value=0.2), None)
        progress.trial_finished(configured(3, "failed"), None)
    configuration = "(64, 32), embedding 32, learning rate 0.05  4.5 s"
    assert screen.lines == [
        "trial 1 complete: accuracy 0.3300 at epoch 10"
        f"  {configuration}  [2/4, best 0.3300 (trial 1)]",
        "trial 2 pruned: accuracy 0.2000 when pruned at epoch 10"
        f"  {configuration}  [3/4, best 0.3300 (trial 1)]",
        "trial 3 failed: train_loss is not finite at epoch 3"
        f"  {configuration}  [3/4, best 0.3300 (trial 1)]",
    ]


def test_before_there_is_a_best_a_line_has_the_count_alone() -> None:
    screen = Screen(terminal=False)
    PlainProgress(screen.console, Tally(4, 10, [])).trial_finished(trial(0, "failed"), None)
    assert screen.text.endswith("[0/4]")


def test_announced_lines_are_printed_as_they_are() -> None:
    screen = Screen(width=20, terminal=False)
    line = "MovieLens 100K: read from [/red] /a/long/folder/of/prepared/arrays"
    PlainProgress(screen.console, Tally(4, 10, [])).announce(line)
    assert screen.lines == [line]


# --- quiet, and which view it is --------------------------------------------------------------


def test_quiet_shows_announced_lines_on_standard_error_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen()
    view = make_progress(screen.console, trials=4, epochs=10, done=[], quiet=True)
    with view as progress:
        progress.trial_started(started(trial(0)))
        progress.epoch_finished(0, curve(1)[0])
        progress.trial_finished(trial(0), None)
        progress.announce("warning: [x]")
    assert screen.text == ""
    assert capsys.readouterr() == ("", "warning: [x]\n")


@pytest.mark.parametrize(
    ("terminal", "quiet", "kind"),
    [
        (True, False, LiveProgress),
        (False, False, PlainProgress),
        (True, True, Progress),
        (False, True, Progress),
    ],
)
def test_the_view_fits_where_the_output_goes(
    terminal: bool, quiet: bool, kind: type[Progress]
) -> None:
    console = Screen(terminal=terminal).console
    assert type(make_progress(console, trials=4, epochs=10, done=[], quiet=quiet)) is kind


# --- words ------------------------------------------------------------------------------------


def test_what_is_not_known_is_left_out_of_a_configuration() -> None:
    assert configuration_text(trial(0, parameters={}, derived={})) == ""
    assert configuration_text(trial(0, parameters={"learning_rate": 0.012345})) == (
        "(64, 32), learning rate 0.0123"
    )


def test_a_trial_that_was_interrupted_says_why() -> None:
    reason = "interrupted from the keyboard"
    assert trial_line(trial(5, "interrupted", reason=reason)).startswith(
        f"trial 5 interrupted: {reason}"
    )
    assert "trial 5 failed: no reason recorded" in trial_line(trial(5, "failed", reason=None))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00:00 left"), (59.6, "0:01:00 left"), (7384, "2:03:04 left")],
)
def test_time_left_is_shown_in_hours_minutes_and_seconds(seconds: float, shown: str) -> None:
    screen, clock = Screen(), Clock()
    with LiveProgress(screen.console, Tally(2, 10, [], clock=clock)) as progress:
        clock.seconds += seconds
        progress.trial_finished(trial(0), None)
    assert shown in screen.text
