"""Every row can be measured; what it says is not looked at here."""

import subprocess
import sys

import pytest

from search.config.addresses import PROJECT
from tests.benchmarks.harness import ROWS

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.mark.parametrize("row", ROWS)
def test_a_quick_run_of_a_row_measures_it(row: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--quick", row],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert lines[0].startswith("| what | ours |")
    assert len(lines) >= 3
