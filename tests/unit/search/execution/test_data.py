"""The data of a study, the cache of compiled programs, and what is wrong with parts of its own."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deeprec.data.dataset import TrainingData
from deeprec.data.tables import FeatureTable
from deeprec.evaluation.ranking import MOVIELENS
from search.config.reading import load_spec
from search.config.study import StudySpec
from search.execution import data
from search.execution.data import check_names, check_parts, load_data
from search.records.errors import InputError
from tests.synthetic import random_interactions, small_dataset
from tests.unit.search.specs import small_spec


def test_what_is_not_kept_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    users: FeatureTable,
    movies: FeatureTable,
) -> None:
    lines: list[str] = []
    dataset = small_dataset(users, movies, random_interactions(10, seed=1))
    (tmp_path / "file").touch()  # below which not even root makes a folder
    monkeypatch.setattr(data, "load_dataset", lambda *_arguments, **_options: dataset)
    monkeypatch.setattr(data, "split", lambda *_arguments: "its splits")
    monkeypatch.setattr(data, "default_cache_dir", lambda: tmp_path / "file")
    found = load_data(small_spec(tmp_path), None, lines.append)
    assert vars(found) == {"dataset": dataset, "splits": "its splits", "judge": MOVIELENS}
    assert lines == [
        f"compiled programs are not kept: Not a directory: {tmp_path / 'file' / 'compiled'}"
    ]


GOOD = """
import jax.numpy as jnp
import keras

class Towers(keras.layers.Layer):
    def __init__(self, schema, side, *, embedding_dimension, heads, kind="plain"):
        super().__init__()
        self.id = schema.id_feature
        self.table = keras.layers.Embedding(self.id.vocabulary_size, embedding_dimension * heads)

    def call(self, features):
        return self.table(features[self.id.name])

def loss(scores, users, movies, weights, *, margin=0.1):
    return jnp.sum(weights * (margin - scores[users, movies])) / weights.sum()

def metric(items, hits, counts, k):
    return hits.sum(axis=1) / k
"""
STUDY = """
model.towers = "users_parts:Towers"
training.loss = "users_parts:loss"
objective.metric = "users_parts:metric@10"

[space]
depth = { low = 1, high = 1 }
width = { low = 8, high = 8 }
heads = { low = 1, high = 2 }
"""

Check = Callable[..., StudySpec]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """Writes a study file and the code beside it, both with a change."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(old: str = "", new: str = "", *, dimension: str = "") -> StudySpec:
        assert old in GOOD + STUDY
        sys.modules.pop("users_parts", None)
        (tmp_path / "users_parts.py").write_text(GOOD.replace(old, new), encoding="utf-8")
        text = STUDY.replace(old, new) + dimension
        (tmp_path / "own.toml").write_text(text, encoding="utf-8")
        return load_spec(str(tmp_path / "own.toml"), folders=[])

    yield write
    sys.modules.pop("users_parts", None)


def test_good_parts_pass(written: Check, training_data: TrainingData) -> None:
    check_parts(written(dimension="margin = { low = 0.1, high = 1 }"), training_data)


WRONG_NAMES = [
    ("users_parts:loss", "users_parts:lost", "loss 'users_parts:lost' cannot be imported: .*lost"),
    ("users_parts:loss", "nowhere:loss", "ModuleNotFoundError: No module named 'nowhere'"),
    ("import keras", "1 / 0", "towers .* cannot be imported: ZeroDivisionError: division by zero"),
    ("heads, kind", "heads, wheels, kind", "asks for wheels, which must be a dimension of .space."),
    ("margin=0.1", "margin", "loss 'users_parts:loss' asks for margin, which must be"),
    ("counts, k", "counts, k, prices", "asks for prices, but a metric is given features alone"),
    ("heads = {", "wings = { low = 1, high = 2 }\nheads = {", "space.wings must be asked for"),
    ("width = { low = 8, high = 8 }", "", r"space.width must have one value, such as { low = 16"),
    ("scores, users, movies, weights, *", "scores, *", "must take scores, users, .* but takes 1"),
]


@pytest.mark.parametrize(("old", "new", "says"), WRONG_NAMES)
def test_names_that_do_not_fit_are_refused(written: Check, old: str, new: str, says: str) -> None:
    with pytest.raises(InputError, match=f"^study own: .*{says}") as error:
        check_names(written(old, new))
    assert "\n" not in str(error.value)


WRONG_RESULTS = [
    ("embedding_dimension * heads)", "heads if side == 'query' else 7)", "has 1 .*and 7 .candid"),
    ("features[self.id.name])", "features[self.id.name])[None]", "must return .batch, dimension"),
    ("features[self.id.name])", "features[self.id.name]) / 0.0", "finite numbers for the query"),
    ("/ weights.sum()", "* jnp.ones(3)", "loss .* must return a scalar but returned .3."),
    ("/ weights.sum()", "/ 0", "loss .* must have a finite value and gradient but has not"),
    ("/ weights.sum()", "+ float(weights.sum())", "loss in JAX but raised ConcretizationTypeError"),
    (
        "hits.sum(axis=1) / k",
        "hits / k",
        r"metric .* must return .users. = .2. but returned .2, 10",
    ),
    ("hits.sum(axis=1) / k", "items.missing", "metric .* must judge lists but raised Attribute"),
]


@pytest.mark.parametrize(("old", "new", "says"), WRONG_RESULTS)
def test_results_of_another_form_are_refused(
    written: Check, training_data: TrainingData, old: str, new: str, says: str
) -> None:
    with pytest.raises(InputError) as error:
        check_parts(written(old, new), training_data)
    assert re.search(says, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


def test_a_loss_is_given_no_texts(written: Check, training_data: TrainingData) -> None:
    spec = written(dimension='kind = ["plain"]')  # for the towers
    check_parts(spec, training_data)
    with pytest.raises(InputError, match=r"asks for kind, .* of \[space\] with numbers"):
        check_names(written("margin=0.1", "kind", dimension='kind = ["plain"]'))
