"""Which rows are measured, and what happens where one cannot be."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from search.config.workspace import PROJECT
from tests.benchmarks import rows
from tests.benchmarks.fresh import MeasurementError, call
from tests.benchmarks.results import Failure, Quantity, Result


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_an_unknown_row_is_refused_in_one_line() -> None:
    done = benchmarks("step", "steps")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (f"error: rows must be of {', '.join(rows.ROWS)} but got steps\n")


def test_a_row_that_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    result = Result.limited("second", Quantity(value=1, unit="s"), at_most=2)

    def fake_call(function: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        assert arguments == {"quick": True}
        if function == "first:measure":
            raise MeasurementError("no such thing")
        return [result.to_json()]

    monkeypatch.setattr(rows, "call", fake_call)
    outcomes = list(rows.measure_all(["first", "second"], quick=True))
    assert outcomes == [Failure(row="first", reason="no such thing"), result]


def test_the_answer_of_another_process_is_what_its_function_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Python says on standard error what it imports: nothing of it gets into the answer.
    monkeypatch.setenv("PYTHONVERBOSE", "1")
    assert call("plot:ascii_curve", {"values": [1, 2], "height": 2}).startswith("2 | *")


def test_an_error_in_the_process_is_told_in_its_last_line() -> None:
    with pytest.raises(MeasurementError, match=r"^ValueError: ratings must be at least one a user"):
        call("ratings:Size", {"ratings": 3, "users": 10, "movies": 10})


@pytest.mark.parametrize("module", ["plain_harness", "trial", "evaluation"])
def test_the_others_run_on_jax_as_we_do(module: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import tests.benchmarks.{module}, keras; print(keras.backend.backend())",
        ],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "jax\n", done.stderr
