"""A made-up study for each test."""

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from tests.unit.search.report.made import Made

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    with Made(tmp_path) as made:
        yield made
