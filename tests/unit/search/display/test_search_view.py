"""A search: its live view in terminals of any size, a line a trial in a pipe; its end."""

from collections.abc import Sequence
from typing import Any

import pytest
from rich.cells import cell_len

from search.analysis.noise import Estimate, Sample
from search.analysis.verdict import Leader
from search.display.search_view import SearchProgress, SearchView, leaderboard, print_summary
from search.display.tally import SearchTally
from search.records.events import EpochFinished, TrialFinished, TrialStarted
from search.records.trials import CurvePoint, TrialRecord, TrialState
from tests.unit.search.report.made import commands
from tests.unit.search.sample_records import curve, started, trial
from tests.unit.search.terminals import Clock, Pipe, drawn

PLACES = {"study": "studies/a.db", "towers": "studies/a/", "MLflow": "mlruns/mlflow.db"}


def configured(number: int, state: TrialState = "complete", **changes: Any) -> TrialRecord:
    parameters = {"embedding_dimension": 32, "learning_rate": 0.05}
    return trial(number, state, **{"parameters": parameters, **changes})


def busy(workers: int = 2, running: int = 2, **changes: Any) -> SearchTally:
    """A search of 50 trials of 30 epochs, 42 s after its start."""
    clock = Clock()
    done = [configured(0), configured(1, "pruned", value=0.2), configured(2, "failed")]
    tally = SearchTally(50, 30, done, workers=workers, clock=clock)
    clock.seconds += 30
    tally.finish(configured(3, value=0.3412, best_epoch=25, ended_ms=1))
    for number in range(4, 4 + running):
        tally.start(started(configured(number, layers=(256, 256, 256, 128), **changes)))
    for point in curve(12):
        tally.hear(EpochFinished(4, point))
    clock.seconds += 12
    return tally


def lines(tally: SearchTally, width: int = 80, height: int = 24, **options: Any) -> list[str]:
    return drawn(SearchView(tally, name="a", places=PLACES), width, height, **options)


def row(shown: list[str], first: str) -> list[str]:
    """The words of the first row that begins with a word."""
    return next(line.split() for line in shown if line.split()[:1] == [first])


def test_the_first_lines_count_and_time() -> None:
    tally = busy()
    tally.look([started(trial(number)) for number in (4, 5, 6)])
    shown = lines(tally)
    assert shown[1].startswith("a   3 of 50 trials  ━")
    assert shown[1].endswith("  0:23:18 left")
    assert shown[2] == "2 complete, 1 pruned, 1 failed; 2 running, 1 elsewhere; 0:00:42 so far"
    assert shown[-3:] == [f"{name:6}  {place}" for name, place in PLACES.items()]


def test_every_worker_has_a_row_for_its_trial() -> None:
    shown = lines(busy())
    assert row(shown, "running")[1:] == ["layers", "embed", "rate", "epoch", "now", "best", "curve"]
    layers = ["(256,", "256,", "256,", "128)"]
    assert row(shown, "4") == ["4", *layers, "32", "0.05", "12/30", "0.2355", "0.2355", "▁█"]
    assert row(shown, "5") == ["5", *layers, "32", "0.05", "0/30", "compiles"]


def test_workers_without_a_trial_say_what_they_wait_for() -> None:
    tally = busy(workers=3, running=1)
    assert [" ".join(line.split()) for line in lines(tally)].count("- starts") == 2
    tally.finish(configured(4))
    assert "- waits for a trial" in [" ".join(line.split()) for line in lines(tally)]
    tally.target = tally.finished
    assert [" ".join(line.split()) for line in lines(tally)].count("- no trial is left") == 3


def test_the_best_and_the_latest_have_their_rows() -> None:
    shown = lines(busy())
    places = [
        shown.index(next(line for line in shown if line.strip() == name))
        for name in ("best", "latest")
    ]
    best, latest = shown[places[0] + 1], shown[places[1] + 1 : places[1] + 4]
    assert best.split() == ["3", "(64,", "32)", "32", "0.05", "10/30", "0.3412", "▁█"]
    assert [line.split()[0] for line in latest] == ["2", "1", "0"]
    assert ["failed" in latest[0], "pruned" in latest[1]] == [True, True]


def test_parameters_without_a_column_are_shown_of_the_best() -> None:
    tally = busy()
    parameters = {"embedding_dimension": 32, "learning_rate": 0.05, "temperature": 0.07}
    tally.finish(configured(9, value=0.5, parameters=parameters))
    assert "best also: temperature 0.07" in lines(tally)


def test_an_empty_study_has_no_best_and_ascii_is_enough() -> None:
    text = "\n".join(lines(SearchTally(50, 30, [])))
    assert " 0 of 50 trials" in text
    assert "-:--:-- left" in text
    assert "latest" not in text
    assert text.count("best") == 1, "the header alone"
    assert "\n".join(lines(busy(), utf8=False)).isascii()


def test_a_wide_terminal_shows_more() -> None:
    shown = lines(busy(reference="wide one"), 200, 50)
    header = row(shown, "running")
    assert {"weights", "loss", "time"} <= set(header)
    assert row(shown, "4")[-5:] == ["0.0850", "12", "s", "wide", "one"]
    assert "90,000" in row(shown, "3")


def test_a_loss_that_explodes_keeps_its_column() -> None:
    tally = busy()
    point = CurvePoint(epoch=3, timestamp_ms=0, metrics={"train_loss": 16354.2})
    tally.hear(EpochFinished(5, point))
    assert "1.6e+04" in row(lines(tally, 120), "5")


def test_more_workers_than_rows_are_counted() -> None:
    tally = busy(workers=40, running=40)
    shown = lines(tally)
    rows = [line for line in shown if "(256, 256, 256, 128)" in line]
    [more] = [line for line in shown if line.split()[:1] == ["..."]]
    assert more.split() == ["...", "and", str(40 - len(rows)), "more"]
    assert "3" in [line.split()[0] for line in shown if line], "the best is shown all the same"


@pytest.mark.parametrize("width", [8, 20, 40, 60, 79, 80, 100, 200])
@pytest.mark.parametrize("workers", [1, 3, 40])
def test_the_view_fits_any_terminal(width: int, workers: int) -> None:
    tally = busy(workers, workers, derived={"layer_sizes": "(256, 256, 256, 256, 128, 64)"})
    for height in (4, 8, 12, 24, 50):
        shown = lines(tally, width, height)
        assert max(cell_len(line) for line in shown) <= width
        assert len(shown) < max(height, 6)


def test_where_there_is_less_room_the_curve_goes_before_the_accuracy() -> None:
    assert "curve" in row(lines(busy(), 80), "running")
    narrow = ["running", "layers", "embed", "epoch", "now", "best"]
    assert row(lines(busy(), 61), "running") == narrow
    assert row(lines(busy(), 30), "running") == ["running", "epoch", "best"]


def progress_of(pipe: Pipe, tally: SearchTally) -> SearchProgress:
    return SearchProgress(pipe.screen, tally, name="a", places=PLACES)


def test_a_pipe_gets_one_line_a_trial_however_long() -> None:
    pipe = Pipe(width=30)
    progress = progress_of(pipe, SearchTally(4, 10, [configured(0, value=0.31)]))
    with progress.shown():
        progress.hear(TrialStarted(started(trial(1))))
        progress.hear(EpochFinished(1, curve(1)[0]))
        progress.hear(TrialFinished(configured(1, value=0.33), None))
        progress.hear(TrialFinished(configured(2, "pruned", value=0.2), None))
        progress.hear(TrialFinished(configured(3, "failed"), None))
    configuration = "layers (64, 32), embedding dimension 32, learning rate 0.05  4.5 s"
    assert pipe.lines == [
        "trial 1 complete: accuracy 0.3300 at epoch 10"
        f"  {configuration}  [2/4, best 0.3300 (trial 1)]",
        "trial 2 pruned: accuracy 0.2000 when pruned at epoch 10"
        f"  {configuration}  [3/4, best 0.3300 (trial 1)]",
        "trial 3 failed: train_loss is not finite at epoch 3"
        f"  {configuration}  [3/4, best 0.3300 (trial 1)]",
    ]


def test_before_there_is_a_best_a_line_has_the_count_of_all_processes_alone() -> None:
    pipe = Pipe()
    progress = progress_of(pipe, SearchTally(4, 10, []))
    progress.look([trial(0, "pruned"), trial(1, "pruned")])
    progress.hear(TrialFinished(trial(2, "failed"), None))
    assert pipe.lines[0].endswith("[2/4]")


def test_quiet_shows_no_trial() -> None:
    pipe = Pipe(quiet=True)
    progress_of(pipe, SearchTally(4, 10, [])).hear(TrialFinished(trial(0), None))
    assert pipe.lines == []


COMMANDS = commands("'a [b]'")
TUTORIAL = "tutorial (64, 32)"
POPULARITY = {"popularity": Estimate(0.3)}


def summary(trials: Sequence[TrialRecord], *, width: int = 120, **options: Any) -> list[str]:
    pipe = Pipe(width)
    options = {"references": POPULARITY, "commands": COMMANDS, **options}
    print_summary(pipe.screen, trials, **options)
    return pipe.lines


def rows(trials: Sequence[TrialRecord]) -> list[list[str]]:
    cells = zip(*(column.cells for column in leaderboard(trials, POPULARITY).columns), strict=True)
    return [[str(cell) for cell in row] for row in cells]


def names(trials: Sequence[TrialRecord]) -> list[str]:
    return [row[0] for row in rows(trials)]


def valued(*values: float, first: int = 0) -> list[TrialRecord]:
    return [trial(number, value=value) for number, value in enumerate(values, first)]


def test_a_row_says_what_the_trial_is_and_reached_as_far_as_it_is_known() -> None:
    parameters = {"embedding_dimension": 32, "learning_rate": 0.05}
    record = trial(7, value=0.33126, parameters=parameters, best_epoch=25)
    assert rows([record])[0] == ["7", "(64, 32)", "32", "0.05", "90,000", "0.3313", "25"]
    bare = trial(0, value=0.3, parameters={}, derived={})
    assert rows([bare])[0] == ["0", "", "", "", "", "0.3000", "10"]


def test_the_best_four_are_followed_by_the_best_enqueued_one_and_the_references() -> None:
    assert names(valued(0.30, 0.34, 0.31, 0.34)) == ["1", "3", "2", "0", "popularity"]
    better = valued(0.4, 0.39, 0.38, 0.37, 0.36, 0.35, first=3)
    low, high = (trial(n, value=0.1 + n / 10, reference=("low", "high")[n]) for n in (0, 1))
    assert names([low, high, *better]) == ["3", "4", "5", "6", "1 (high)", "popularity"]
    assert names([low, high]) == ["1 (high)", "0 (low)", "popularity"]


def test_what_the_split_loses_is_said_after_the_verdict() -> None:
    lines = summary(valued(0.4), lost=["Training does not know 3 of 4 users."], cautions=["Look."])
    where = lines.index("Training does not know 3 of 4 users.")
    assert lines[where - 1].startswith("It is above every reference")
    assert lines[where + 1] == "careful: Look."


def test_only_complete_trials_are_ranked() -> None:
    others = [trial(1, "pruned", value=0.9), trial(2, "failed"), trial(3, "running")]
    assert names([trial(0), *others]) == ["0", "popularity"]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        (TUTORIAL, "0 (tutorial)"),
        ("the wide one", "0 (the wide one)"),
        ("(64, 32)", "0 ((64, 32))"),
        (" ", "0 ( )"),
        ("[/b] [red]", "0 ([/b] [red])"),
    ],
)
def test_an_enqueued_trial_is_called_what_the_file_calls_it(reference: str, name: str) -> None:
    record = trial(0, value=0.3, reference=reference)
    assert names([record])[0] == name
    assert name[:13] in "\n".join(summary([record]))


def test_table_verdict_cautions_and_commands_follow_each_other_and_can_be_copied() -> None:
    lines = summary([trial(0, value=0.339)], width=40, cautions=["mind [this]", "that", "3", "4"])
    starts = [
        "trial",
        "popul",
        "1 trial:",
        "It is above every",
        "careful: mind [this]",
        "careful: that",
        "careful: 2 more in the report",
        f"re-train:  {COMMANDS.retrain}",
        f"report:    {COMMANDS.report}",
        f"compare:   {COMMANDS.compare}",
        f"search on: {COMMANDS.more}",
    ]
    places = [next(n for n, line in enumerate(lines) if line.startswith(start)) for start in starts]
    assert places == sorted(places)
    assert sum(line.startswith("careful:") for line in lines) == 3


def test_it_fits_one_screen_and_no_row_wraps() -> None:
    parameters = {"embedding_dimension": 128, "learning_rate": 0.0123456}
    derived = {"layer_sizes": "(256, 256, 256, 128)", "parameter_count": 1_234_567}
    wide: dict[str, Any] = {"value": 0.35, "parameters": parameters, "derived": derived}
    trials = [trial(100 + number, **wide) for number in range(6)]
    enqueued = ("tutorial (32,)", "tutorial (64, 32)", "tutorial (128, 64, 32)")
    trials += [trial(number, value=0.3, reference=name) for number, name in enumerate(enqueued)]
    values = {"popularity": 0.46, "damped mean": 0.41, "EASE": 0.54, "iALS": 0.58, "SLIM": 0.55}
    references = {name: Estimate(value) for name, value in values.items()}
    lines = summary(trials, references=references, width=80, cautions=["one", "two", "three"])
    assert len(lines) < 24, "a line is left for the prompt"
    assert max(map(len, lines)) <= 80
    hardest = [name for name in (line.split()[0] for line in lines if line) if name in values]
    assert hardest == ["iALS", "SLIM", "EASE"]
    shown = [line.split() for line in lines if "(256, 256, 256, 128)" in line]
    assert [row[-2:] for row in shown] == [["0.3500", "10"]] * 4


def test_a_confirmation_outweighs_the_search_in_the_terminal_too() -> None:
    leader = Leader(number=0, sample=Sample((0.32, 0.33)), others={1: Sample((0.1, 0.11))})
    text = "\n".join(summary(valued(0.33, 0.35), leader=leader))
    assert "Trial 0 is confirmed best over 2 seeds" in text
    assert "Trial 1 is the best" not in text


def test_without_a_complete_trial_there_is_nothing_to_rank_or_re_train() -> None:
    text = "\n".join(summary([trial(0, "failed")]))
    assert "no best one" in text
    assert "popularity" not in text
    assert "re-train" not in text
    assert COMMANDS.compare in text


@pytest.mark.parametrize("width", [10, 30, 60])
def test_narrow_terminals_show_it_too(width: int) -> None:
    assert "%" in "".join(summary([trial(0, reference=TUTORIAL), trial(1)], width=width))
