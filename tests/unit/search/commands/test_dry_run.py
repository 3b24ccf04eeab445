"""``--dry-run``: what would be tried first, and what would be written where."""

from pathlib import Path

import pytest

from deeprec.config import ModelConfig
from deeprec.data.dataset import Dataset
from deeprec.data.tables import FeatureTable, Interactions
from deeprec.model.retrieval import RetrievalModel
from search.commands import dry_run
from search.commands.dry_run import first_configurations, print_dry_run
from search.config.addresses import Workspace
from search.config.space import Configuration
from search.config.study import StudySpec
from search.session.session import Flags, Session
from search.storage.retry import Patience
from tests.synthetic import small_dataset
from tests.unit.search.specs import small_spec
from tests.unit.search.terminals import Pipe

VALUES = {"embedding_dimension": 4, "learning_rate": 0.05}
REFERENCES = [
    ("reference (8,)", Configuration(layer_sizes=(8,), values=VALUES)),
    ("reference (8, 4)", Configuration(layer_sizes=(8, 4), values=VALUES)),
]
GRID = ('name = "random"', 'name = "grid"\nlearning_rates = 1')


def shown(spec: StudySpec, *, width: int = 120, workers: int = 1) -> str:
    pipe = Pipe(width)
    flags = Flags(
        study="small",
        storage_url="postgresql+psycopg://me:secret@host/studies",
        tracking_uri="http://me:secret@host:5000",
        workers=workers,
    )
    workspace = Workspace(Path("/home/[me]"))
    print_dry_run(
        Session(
            flags=flags, spec=spec, workspace=workspace, screen=pipe.screen, patience=Patience()
        )
    )
    return pipe.text


@pytest.fixture
def unprepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run, "load_prepared", lambda config: None)


@pytest.fixture
def prepared(
    monkeypatch: pytest.MonkeyPatch,
    users: FeatureTable,
    movies: FeatureTable,
    train_rows: Interactions,
) -> Dataset:
    dataset = small_dataset(users, movies, train_rows)
    monkeypatch.setattr(dry_run, "load_prepared", lambda config: dataset)
    return dataset


def test_the_files_configurations_come_first_and_then_the_samplers(tmp_path: Path) -> None:
    first, again, other = (
        first_configurations(small_spec(tmp_path, ("seed = 3", f"seed = {seed}")), 10)
        for seed in (3, 3, 4)
    )
    assert first[:2] == REFERENCES
    assert [origin for origin, _ in first[2:]] == ["random"] * 4, "the budget is six trials"
    assert first == again
    assert first[2:] != other[2:]


def test_there_are_no_more_than_the_grid_has(tmp_path: Path) -> None:
    spec = small_spec(tmp_path, GRID, ("trials = 6", "trials = 60"))
    found = first_configurations(spec, 10)
    # (4,), (8,), (4, 4), (8, 4), (8, 8) at one learning rate, and two references off the grid.
    assert [origin for origin, _ in found] == [name for name, _ in REFERENCES] + ["grid"] * 5
    assert len({configuration for _, configuration in found}) == 7


@pytest.mark.usefixtures("unprepared")
def test_space_budget_and_places_are_shown(tmp_path: Path) -> None:
    text = shown(
        small_spec(
            tmp_path,
            ("[study]", "[study]\ndescription = 'narrow [/b] towers [red]'"),
            ('"reference (8,)"', '"[bold] [/x]"'),
        )
    )
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "study small: narrow [/b] towers [red]"
    budget = "6 trials of up to 4 epochs, sampler random, pruner none, seed 3; the first"
    assert any(line.startswith(budget) for line in lines)
    assert {
        "depth 1 to 2",
        "widths 4, 8, never widening toward the output",
        "embedding_dimension 4",
        "learning_rate 0.01 to 0.1, logarithmic",
        "architectures 5",
        "0 (8,) 4 0.05 - [bold] [/x]",
        "parameter counts are known once the data set is prepared",
        "study: postgresql+psycopg://me:***@host/studies",
        "towers: /home/[me]/studies/small",
    } <= set(lines)
    assert lines[-1] == "nothing was written"
    assert "host:5000" in text
    assert "secret" not in text
    assert "workers" not in text


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
def test_dimensions_and_workers_fit_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.execution.runtime.available_cores", lambda: 9)
    spec = small_spec(
        tmp_path,
        ("[training]", "[training]\nloss = 'softmax'"),
        ("[space]", "[space]\nnormalize = [true, false]\ndropout = { low = 0, high = 0.5 }"),
        ("learning_rate = 0.05", "learning_rate = 0.05\nnormalize = true\ndropout = 0.1"),
    )
    text = shown(spec, workers=4)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert {"normalize true or false", "dropout 0 to 0.5, linear"} <= set(lines)
    assert "4 workers with 2 cores each" in lines
    assert "nothing was written" in shown(spec, width=20)


def test_objectives_and_limits_are_said_and_what_is_infeasible(
    prepared: Dataset, tmp_path: Path
) -> None:
    aims = "[objective]\nmetrics = ['ndcg@10', 'parameters']\n[limits]\nparameters = 1400\n"
    text = shown(small_spec(tmp_path, ("[training]", f"{aims}[training]")))
    assert "objectives: nDCG@10, parameters\n" in text
    assert "limits: 1,400 parameters\n" in text
    [fits, over] = [line for line in text.splitlines() if "reference" in line]
    assert ("1,392 " in fits, "infeasible" in fits) == (True, False)
    assert "(infeasible)" in over
