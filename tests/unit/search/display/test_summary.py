"""The end of a search: the table, the verdict in words, and the next commands."""

from collections.abc import Sequence
from typing import Any

import pytest

from search.analysis.noise import Estimate, Sample
from search.analysis.verdict import Leader
from search.display.summary import leaderboard, print_summary
from search.records.trials import TrialRecord
from tests.unit.search.report.made import commands
from tests.unit.search.sample_records import trial
from tests.unit.search.terminals import Pipe

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
