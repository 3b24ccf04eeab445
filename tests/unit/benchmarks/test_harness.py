"""What rows share: the verdict of a line, pairs, processes, the table, and bad input."""

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from search.config.workspace import PROJECT
from tests.benchmarks import harness
from tests.benchmarks.__main__ import main
from tests.benchmarks.harness import (
    MeasurementError,
    Pairs,
    Result,
    as_markdown,
    as_text,
    call,
    in_turn,
    machine,
    measure_all,
)
from tests.benchmarks.memory import ascii_curve, forget_peak, peak_bytes, resident_bytes

TRIAL = Result(what="a trial", ours=2, against=18, at_least=6, opponent="fit", note="5 pairs")
START = Result(what="start", ours=9, at_most=6)
FAILURE = Result(what="workers", failure="search.run has no --workers | yet")


@pytest.mark.parametrize(
    ("values", "ratio", "target", "verdict"),
    [
        ({"ours": 1.1, "against": 1, "at_most": 1.15}, 1.1, "at most 1.15 times", "met"),
        ({"ours": 2.3, "against": 1, "at_most": 1.15}, 2.3, "at most 1.15 times", "missed by 100%"),
        ({"ours": 4, "against": 20, "at_least": 6}, 5.0, "at least 6 times", "missed by 17%"),
        ({"ours": 4, "against": 20}, 5.0, "", ""),
        (
            {"ours": 300, "against": 200, "at_least": 1.4, "is_rate": True},
            1.5,
            "at least 1.4 times",
            "met",
        ),
        ({"ours": 6.0, "at_most": 6}, None, "at most 6 s", "met"),
        ({"ours": 6.3, "at_most": 6}, None, "at most 6 s", "missed by 5%"),
        ({"ours": 40, "at_least": 30, "unit": "runs"}, None, "at least 30 runs", "met"),
        ({"ours": 1}, None, "", ""),
    ],
)
def test_what_is_judged_is_the_ratio_or_our_number(
    values: dict[str, Any], ratio: float | None, target: str, verdict: str
) -> None:
    result = Result(what="it", **values)
    assert result.ratio == (None if ratio is None else pytest.approx(ratio))
    assert (result.target, result.verdict) == (target, verdict)


@pytest.mark.parametrize("bound", [{"at_most": 2.0}, {"at_least": 2.0}])
def test_a_number_that_is_not_finite_meets_nothing(bound: dict[str, Any]) -> None:
    assert Result(what="it", ours=math.nan, **bound).verdict.startswith("missed")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.41234, "0.412 ms"), (18.26, "18.3 ms"), (1234.5, "1,234 ms"), (0.0, "0 ms")],
)
def test_a_number_is_shown_with_three_digits(value: float, shown: str) -> None:
    assert Result(what="it", ours=value, unit="ms").cells[1] == shown


def test_the_table_has_aligned_columns_and_notes_below() -> None:
    heading, _, trial, start, failure, *notes = as_text([TRIAL, START, FAILURE]).splitlines()
    for word, line, cell in [("ours", trial, "2 s"), ("target", trial, "at least 6 times")]:
        assert line.index(cell) == heading.index(word)
    assert (trial.endswith("met"), start.endswith("missed by 50%")) == (True, True)
    assert failure.endswith("not measured: search.run has no --workers | yet")
    assert notes == ["", "a trial: 5 pairs"]


def test_the_table_of_the_readme_has_six_cells_a_line() -> None:
    lines = as_markdown([TRIAL, FAILURE]).splitlines()
    assert lines[2] == "| a trial | 2 s | fit: 18 s | 9.00 | at least 6 times | met |"
    assert all(line.replace("\\|", "").count("|") == 7 for line in lines)


def test_the_machine_is_in_one_line() -> None:
    assert f"{len(os.sched_getaffinity(0))} cores of " in machine()
    assert "\n" not in machine()


# --- measuring --------------------------------------------------------------------------------


def test_ours_and_the_other_take_turns_and_one_slow_pair_moves_no_median() -> None:
    calls: list[str] = []

    def measure(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    pairs = in_turn(lambda: measure("A"), lambda: measure("B"), 3)
    assert calls == list("ABABAB")
    assert (pairs.ours, pairs.other) == ([1, 3, 5], [2, 4, 6])
    slow = Pairs([0.001, 0.001, 9.0], [0.002, 0.002, 0.002]).medians(1000)
    assert (slow["ours"], slow["against"]) == (1.0, 2.0)
    assert slow["note"].startswith("medians of 3 pairs")
    assert "0.5 to 4.5e+03, median 0.5" in slow["note"]


def test_a_row_that_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake_call(function: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        assert arguments == {"quick": True}
        if function == "first:measure":
            raise MeasurementError("no such thing")
        return [{"what": "second", "ours": 1.0}]

    monkeypatch.setattr(harness, "call", fake_call)
    results = list(measure_all(["first", "second"], quick=True))
    assert results == [Result(what="first", failure="no such thing"), Result(what="second", ours=1)]


def test_the_answer_of_another_process_is_what_its_function_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Python says on standard error what it imports: nothing of it gets into the answer.
    monkeypatch.setenv("PYTHONVERBOSE", "1")
    assert call("memory:ascii_curve", {"values": [1, 2], "height": 2}).startswith("2 | *")


def test_an_error_in_the_process_is_said_by_its_last_line() -> None:
    with pytest.raises(MeasurementError, match=r"^ValueError: ratings must be at least one a user"):
        call("ratings:Size", {"ratings": 3, "users": 10, "movies": 10})


def test_an_unknown_row_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["step", "steps"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"error: rows must be of {', '.join(harness.ROWS)} but got steps\n"


def test_what_we_are_compared_with_runs_on_jax_as_we_do() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    code = "import tests.benchmarks.plain_harness, keras; print(keras.backend.backend())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "jax\n", done.stderr


# --- memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "options", "lines"),
    [
        ([10, 20, 30], {"height": 3}, ["30 |  *", "20 | *", "10 |*", "   +---", "    1 3"]),
        ([5.0] * 200, {"width": 4}, ["5 |****", "  +----", "   1200"]),
    ],
)
def test_a_curve_rises_from_the_lower_left_to_the_upper_right(
    values: list[float], options: dict[str, int], lines: list[str]
) -> None:
    assert ascii_curve(values, **options).splitlines() == lines


def test_memory_that_was_freed_is_in_the_peak_until_it_is_forgotten() -> None:
    mib = 2**20
    before = resident_bytes()
    assert before is not None
    held = np.ones(64 * mib, np.int8)
    del held
    assert (peak_bytes() or 0) >= before + 60 * mib
    forget_peak()
    assert (peak_bytes() or 0) < before + 30 * mib


def test_a_process_that_does_not_exist_has_no_memory() -> None:
    assert resident_bytes(2**22 + 1) is None
