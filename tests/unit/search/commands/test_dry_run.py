"""``--dry-run``: what would be tried first, and what would be written where."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from deeprec.config import ModelConfig
from deeprec.data.dataset import Dataset
from deeprec.data.tables import FeatureTable, Interactions
from deeprec.model.retrieval import RetrievalModel
from search.commands import dry_run
from search.commands.dry_run import first_configurations, print_dry_run
from search.config.space import Configuration
from search.config.study import StudySpec
from search.tracking.destination import Destination
from tests.unit.search.specs import small_spec

VALUES = {"embedding_dimension": 4, "learning_rate": 0.05}
REFERENCES = [
    (
        "reference (8,)",
        Configuration(layer_sizes=(8,), values=VALUES),
    ),
    (
        "reference (8, 4)",
        Configuration(layer_sizes=(8, 4), values=VALUES),
    ),
]
GRID = ('name = "random"', 'name = "grid"\nlearning_rates = 1')


class FakeSession:
    """As much of a session as a dry run looks at."""

    def __init__(self, spec: StudySpec, *, width: int = 120, workers: int = 1) -> None:
        self.spec = spec
        self.console = Console(file=io.StringIO(), width=width)
        self.storage_url = "postgresql+psycopg://me:secret@host/studies"
        self.workers = workers
        self.towers_folder = Path("/home/[me]/studies/small")
        self.destination = Destination("http://me:secret@host:5000")


def shown(spec: StudySpec, *, width: int = 120, workers: int = 1) -> str:
    """What a dry run prints."""
    session = FakeSession(spec, width=width, workers=workers)
    print_dry_run(session)  # type: ignore[arg-type]
    assert isinstance(session.console.file, io.StringIO)
    return session.console.file.getvalue()


@pytest.fixture
def unprepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set does not lie in the cache."""
    monkeypatch.setattr(dry_run, "load_prepared", lambda config: None)


@pytest.fixture
def prepared(
    monkeypatch: pytest.MonkeyPatch,
    users: FeatureTable,
    movies: FeatureTable,
    train_rows: Interactions,
) -> Dataset:
    """A small data set lies in the cache."""
    dataset = Dataset(
        name="movielens/100k",
        users=users,
        movies=movies,
        interactions=train_rows,
        user_ids=np.arange(users.rows, dtype=np.int32),
        movie_ids=np.arange(movies.rows, dtype=np.int32),
        tutorial_order=np.arange(len(train_rows)),
        titles=("",) * movies.rows,
        fingerprint="0" * 64,
        source="made up",
    )
    monkeypatch.setattr(dry_run, "load_prepared", lambda config: dataset)
    return dataset


# --- the first configurations -----------------------------------------------------------------


def test_the_files_configurations_come_first_and_then_the_samplers(tmp_path: Path) -> None:
    found = first_configurations(small_spec(tmp_path), 4)
    assert found[:2] == REFERENCES
    assert [origin for origin, _ in found[2:]] == ["random", "random"]
    assert all(one.values["embedding_dimension"] == 4 for _, one in found)


def test_they_depend_on_the_seed_alone(tmp_path: Path) -> None:
    first, again, other = (
        first_configurations(small_spec(tmp_path, ("seed = 3", f"seed = {seed}")), 6)
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first[2:] != other[2:]


def test_there_are_no_more_than_the_budget_allows(tmp_path: Path) -> None:
    assert len(first_configurations(small_spec(tmp_path), 10)) == 6


def test_there_are_no_more_than_the_grid_has(tmp_path: Path) -> None:
    spec = small_spec(tmp_path, GRID, ("trials = 6", "trials = 60"))
    found = first_configurations(spec, 10)
    # (4,), (8,), (4, 4), (8, 4), (8, 8) at one learning rate, and two references off the grid.
    assert [origin for origin, _ in found] == [name for name, _ in REFERENCES] + ["grid"] * 5
    assert len({configuration for _, configuration in found}) == 7


# --- what is printed --------------------------------------------------------------------------


@pytest.mark.usefixtures("unprepared")
def test_space_budget_and_places_are_shown(tmp_path: Path) -> None:
    text = shown(small_spec(tmp_path))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "study small"
    assert "depth 1 to 2" in lines
    assert "widths 4, 8, never widening toward the output" in lines
    assert "embedding_dimension 4" in lines
    assert "learning_rate 0.01 to 0.1, logarithmic" in lines
    assert "architectures 5" in lines
    assert any(
        line.startswith("6 trials of up to 4 epochs, sampler random, pruner none, seed 3")
        for line in lines
    )
    assert "towers: /home/[me]/studies/small" in lines
    assert lines[-1] == "nothing was written"


@pytest.mark.usefixtures("unprepared")
def test_secrets_are_not_shown(tmp_path: Path) -> None:
    text = shown(small_spec(tmp_path))
    assert "me:***@host/studies" in text
    assert "host:5000" in text
    assert "secret" not in text


@pytest.mark.usefixtures("unprepared")
def test_text_of_the_file_is_shown_as_it_is(tmp_path: Path) -> None:
    described = ("[study]", "[study]\ndescription = 'narrow [/b] towers [red]'")
    text = shown(small_spec(tmp_path, described, ('"reference (8,)"', '"[bold] [/x]"')))
    assert "study small: narrow [/b] towers [red]\n" in text
    assert "[bold] [/x]" in text


@pytest.mark.usefixtures("unprepared")
def test_parameters_are_not_guessed_while_the_data_is_not_prepared(tmp_path: Path) -> None:
    text = shown(small_spec(tmp_path))
    assert "parameter counts are known once the data set is prepared" in text
    assert any(line.split()[:4] == ["0", "(8,)", "4", "0.05"] for line in text.splitlines())


def test_parameters_are_those_of_the_model(tmp_path: Path, prepared: Dataset) -> None:
    model = RetrievalModel.for_tables(
        prepared.users,
        prepared.movies,
        ModelConfig(layer_sizes=(8, 4), embedding_dimension=4),
        seed=0,
    )
    count = model.query_model.count_params() + model.candidate_model.count_params()
    text = shown(small_spec(tmp_path))
    expected = ["1", "(8,", "4)", "4", "0.05", f"{count:,}", "reference", "(8,", "4)"]
    assert expected in [line.split() for line in text.splitlines()]
    assert "parameter counts are known" not in text


@pytest.mark.usefixtures("unprepared")
def test_narrow_terminals_show_it_too(tmp_path: Path) -> None:
    assert "nothing was written" in shown(small_spec(tmp_path), width=20)


@pytest.mark.usefixtures("unprepared")
def test_workers_are_shown_with_their_cores_where_there_are_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.execution.runtime.available_cores", lambda: 9)
    spec = small_spec(tmp_path)
    assert "4 workers with 2 cores each" in shown(spec, workers=4)
    assert "workers" not in shown(spec)
