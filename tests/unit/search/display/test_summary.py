"""The end of a search: the table, the verdict in words, and the next commands."""

from collections.abc import Mapping, Sequence

import pytest

from search.analysis.noise import Sample
from search.analysis.verdict import Leader
from search.config.addresses import NextCommands
from search.display.summary import leaderboard, print_summary
from search.records.trials import TrialRecord
from tests.unit.search.sample_records import trial
from tests.unit.search.terminals import Pipe

COMMANDS = NextCommands(
    compare="mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db",
    search="python -m search.run --study 'a [b]'",
    retrain="python -m search.retrain --study 'a [b]'",
    more="python -m search.run --study 'a [b]' --trials 100",
    sync="python -m search.sync --study 'a [b]'",
    report="python -m search.report --study 'a [b]'",
    recommend="python -m search.recommend 42",
)
TUTORIAL = "tutorial (64, 32)"
POPULARITY = {"popularity": 0.3}


def summary(
    trials: Sequence[TrialRecord],
    *,
    references: Mapping[str, float] = POPULARITY,
    width: int = 120,
    cautions: Sequence[str] = (),
    leader: Leader | None = None,
) -> str:
    """What people see."""
    pipe = Pipe(width)
    print_summary(
        pipe.screen,
        trials,
        references=references,
        commands=COMMANDS,
        cautions=cautions,
        leader=leader,
    )
    return pipe.text


def rows(trials: Sequence[TrialRecord]) -> list[list[str]]:
    """The cells of the leaderboard."""
    table = leaderboard(trials, POPULARITY)
    cells = zip(*(column.cells for column in table.columns), strict=True)
    return [[str(cell) for cell in row] for row in cells]


# --- the table --------------------------------------------------------------------------------


def test_a_row_says_what_the_trial_is_and_reached() -> None:
    parameters = {"embedding_dimension": 32, "learning_rate": 0.05}
    record = trial(7, value=0.33126, parameters=parameters, best_epoch=25)
    assert rows([record])[0] == ["7", "(64, 32)", "32", "0.05", "90,000", "0.3313", "25"]


def test_the_best_come_first_and_the_earliest_of_equals() -> None:
    values = [0.30, 0.34, 0.31, 0.34]
    ranked = rows([trial(number, value=value) for number, value in enumerate(values)])
    assert [row[0] for row in ranked] == ["1", "3", "2", "0", "popularity"]


def test_references_are_shown_however_low_and_popularity_is_last() -> None:
    better = [trial(number, value=0.4 - number / 100) for number in range(1, 9)]
    names = [row[0] for row in rows([trial(0, value=0.1, reference=TUTORIAL), *better])]
    assert names == ["1", "2", "3", "4", "5", "0 (tutorial)", "popularity"]


def test_of_the_enqueued_the_best_is_shown_whatever_else_is() -> None:
    better = [trial(number, value=0.4 - number / 100) for number in range(3, 9)]
    enqueued = [trial(0, value=0.1, reference="low"), trial(1, value=0.2, reference="high")]
    assert "1 (high)" in [row[0] for row in rows([*enqueued, *better])]
    assert "0 (low)" not in [row[0] for row in rows([*enqueued, *better])]
    assert [row[0] for row in rows(enqueued)] == ["1 (high)", "0 (low)", "popularity"]


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
def test_a_reference_is_called_what_the_file_calls_it(reference: str, name: str) -> None:
    record = trial(0, value=0.3, reference=reference)
    assert rows([record])[0][0] == name
    assert name[:13] in summary([record])


def test_only_complete_trials_are_ranked() -> None:
    others = [trial(1, "pruned", value=0.9), trial(2, "failed"), trial(3, "running")]
    assert [row[0] for row in rows([trial(0), *others])] == ["0", "popularity"]


def test_what_is_not_known_of_a_trial_is_left_empty() -> None:
    bare = trial(0, value=0.3, parameters={}, derived={})
    assert rows([bare])[0] == ["0", "", "", "", "", "0.3000", "10"]


# --- all of it --------------------------------------------------------------------------------


def test_table_verdict_and_commands_follow_each_other() -> None:
    text = summary([trial(0, value=0.339)], cautions=["one"])
    parts = ["(64, 32)", "popularity", "1 trial:", "better than every", "careful: one", "re-train:"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_commands_can_be_copied_as_they_are() -> None:
    lines = summary([trial(0)], width=40).splitlines()
    assert f"re-train:  {COMMANDS.retrain}" in lines
    assert f"report:    {COMMANDS.report}" in lines
    assert f"compare:   {COMMANDS.compare}" in lines
    assert f"search on: {COMMANDS.more}" in lines


def test_cautions_are_lines_of_their_own() -> None:
    lines = summary([trial(0)], cautions=["mind [this]", "and that"]).splitlines()
    first = lines.index("careful: mind [this]")
    assert lines[first + 1] == "careful: and that"


def test_what_there_is_no_room_for_is_counted() -> None:
    lines = summary([trial(0)], cautions=["one", "two", "three", "four"]).splitlines()
    assert [line for line in lines if line.startswith("careful:")] == [
        "careful: one",
        "careful: two",
        "careful: 2 more in the report",
    ]


def test_it_fits_one_screen_and_no_row_wraps() -> None:
    layers = (256, 256, 256, 128)
    parameters = {"embedding_dimension": 128, "learning_rate": 0.0123456}
    derived = {"layer_sizes": str(layers), "parameter_count": 1_234_567}
    trials = [
        trial(100 + number, value=0.35, parameters=parameters, derived=derived)
        for number in range(6)
    ]
    names = ("tutorial (32,)", "tutorial (64, 32)", "tutorial (128, 64, 32)")
    trials += [trial(number, value=0.3, reference=name) for number, name in enumerate(names)]
    references = {"popularity": 0.46, "damped mean": 0.41, "ease": 0.54}
    cautions = [f"caution {number}" for number in range(3)]
    lines = summary(trials, references=references, width=80, cautions=cautions).splitlines()
    assert len(lines) < 24, "a line is left for the prompt"
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if "(256, 256, 256, 128)" in line]
    assert len(rows) == 5
    assert all(row.split()[-2:] == ["0.3500", "10"] for row in rows)


def test_a_confirmation_outweighs_the_search_in_the_terminal_too() -> None:
    leader = Leader(number=0, sample=Sample((0.32, 0.33)), others={1: Sample((0.1, 0.11))})
    text = summary([trial(0, value=0.33), trial(1, value=0.35)], leader=leader)
    assert "Trial 0 is confirmed best over 2 seeds" in text
    assert "Trial 1 is the best" not in text


def test_without_a_complete_trial_there_is_nothing_to_rank_or_re_train() -> None:
    text = summary([trial(0, "failed")])
    assert "no best one" in text
    assert "popularity" not in text
    assert "re-train" not in text
    assert COMMANDS.compare in text


@pytest.mark.parametrize("width", [10, 30, 60])
def test_narrow_terminals_show_it_too(width: int) -> None:
    assert "%" in summary([trial(0, reference=TUTORIAL), trial(1)], width=width)
