"""A made-up study for each test."""

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from search.config.study import StudySpec
from search.storage.study import close_study
from tests.unit.search.report.made import made_spec, made_study

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    return made_spec(tmp_path)


@pytest.fixture
def study(tmp_path: Path, spec: StudySpec) -> Iterator[optuna.Study]:
    study = made_study(tmp_path, spec)
    yield study
    close_study(study)
