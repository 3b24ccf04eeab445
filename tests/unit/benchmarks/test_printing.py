"""The table for people and for the README."""

from tests.benchmarks.machine import Machine
from tests.benchmarks.printing import as_markdown, as_text
from tests.benchmarks.results import Failure, Quantity, Result

MACHINE = Machine(
    cores=2, memory_gib=23.6, processor="Fast", python="3.11.9", commit="abc", load=0.04
)
TRIAL = Result.times_faster(
    "a whole trial",
    Quantity(value=2, unit="s"),
    Quantity(value=18, unit="s"),
    at_least=6,
    opponent="fit",
    note="medians of 5 pairs",
)
START = Result.limited("start", Quantity(value=9, unit="s"), at_most=6)
FAILURE = Failure(row="workers", reason="search.run has no --workers | yet")


def test_the_columns_of_the_text_are_aligned_and_notes_follow() -> None:
    lines = as_text([TRIAL, START], MACHINE).splitlines()
    assert (
        lines[0] == "2 cores of Fast, 24 GiB of memory, Python 3.11.9, commit abc, load before 0.0"
    )
    heading, _, trial, start = lines[2:6]
    for word, line, cell in [("ours", trial, "2 s"), ("target", trial, "at least 6 times")]:
        assert line.index(cell) == heading.index(word)
    assert trial.endswith("met")
    assert "fit: 18 s" in trial
    assert "9.00" in trial
    assert start.endswith("missed by 50%")
    assert lines[-1] == "a whole trial: medians of 5 pairs"


def test_a_row_that_was_not_measured_says_why() -> None:
    text = as_text([FAILURE, TRIAL], MACHINE)
    assert "not measured: search.run has no --workers | yet" in text
    assert "a whole trial" in text


def test_the_readme_has_the_machine_and_six_cells_a_line() -> None:
    lines = as_markdown([TRIAL, FAILURE], MACHINE).splitlines()
    assert lines[0] == str(MACHINE)
    assert lines[4] == "| a whole trial | 2 s | fit: 18 s | 9.00 | at least 6 times | met |"
    for line in lines[2:]:
        assert line.replace("\\|", "").count("|") == 7
