"""Parts and dimensions of one's own in a study file, and the identity of their code."""

import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.config.reading import load_spec, override
from search.config.space import (
    Configuration,
    enqueued_configurations,
    logged_configuration,
    parameters_of,
    readable,
    suggest,
)
from search.config.study import StudySpec, changed_code, code_of, differences
from search.records.errors import InputError

OWN = """
[model]
towers = "shop.towers:Tower"

[training]
loss = "shop.losses:loss"

[objective]
metric = "shop:revenue@5"

[space]
heads = { low = 1, high = 4 }
decay = { low = 0.001, high = 0.1, log = true }
share = { low = 0.0, high = 1 }
kind = ["relu", "gelu", 3]

[[enqueue]]
name = "a start"
layer_sizes = [32]
embedding_dimension = 32
learning_rate = 0.1
heads = 2
decay = 0.01
share = 0.5
kind = 3
"""


def read(folder: Path, *changes: tuple[str, str]) -> StudySpec:
    text = OWN
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file = folder / "own.toml"
    file.write_text(text, encoding="utf-8")
    return load_spec(str(file), folders=[])


def test_own_dimensions_are_suggested_logged_and_read_again(tmp_path: Path) -> None:
    spec = read(tmp_path)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    for _ in range(20):
        found = suggest(trial := study.ask(), spec.space)
        assert trial.params == parameters_of(found) == dict(trial.params)
        logged = {name: str(value) for name, value in readable(trial.params).items()}
        again = logged_configuration({**logged, "layer_sizes": str(found.layer_sizes)}, spec.space)
        assert again == found
        assert 1 <= found.values["heads"] <= 4
        assert found.values["kind"] in ("relu", "gelu", 3)


def test_own_values_go_to_what_may_ask_for_them(tmp_path: Path) -> None:
    spec = read(tmp_path)
    [first] = enqueued_configurations(spec).values()
    model, config = first.model_config(spec.model.towers), first.training_config(spec, 1)
    values = (("decay", 0.01), ("heads", 2), ("kind", 3), ("share", 0.5))
    assert (model.towers, model.own, config.own) == ("shop.towers:Tower", values, values)
    assert str(config.metrics[0]) == "shop:revenue@5"
    text = Configuration(layer_sizes=(1,), values={**first.values, "kind": "relu"})
    assert "kind" not in dict(text.training_config(spec, 1).own)  # JAX computes with numbers


def test_a_study_is_bound_to_its_parts_and_others_are_not_touched(tmp_path: Path) -> None:
    spec, other = read(tmp_path), read(tmp_path, ("losses:loss", "losses:other"))
    assert any("losses:other" in each for each in differences(spec.comparable, other.comparable))
    wider = read(tmp_path, ("high = 4 }", "high = 5 }"))
    assert differences(spec.comparable, wider.comparable) == ["space.heads.high was 4, is 5"]
    assert override(spec, trials=7).space.own == spec.space.own
    plain = tmp_path / "plain.toml"
    plain.write_text("", encoding="utf-8")
    assert "parts" not in load_spec(str(plain), folders=[]).comparable


BAD = [
    ("heads = { low = 1, high = 4 }", "heads = { low = 5, high = 4 }", "space.heads must have low"),
    ("heads = { low = 1, high = 4 }", "heads = 3", "space.heads must be { low, high }, with log"),
    ("heads = { low = 1, high = 4 }", "heads = { low = 'a', high = 4 }", "space.heads"),
    ("log = true", "log = 3", "space.decay must have log = true or false"),
    ("low = 0.001", "low = 0.0", "space.decay must have log = true or false, and ends above 0"),
    ('["relu"', '["relu", [1]', "space.kind must be an array of numbers, texts, true or false"),
    ('["relu"', '["gelu"', "space.kind must name each choice once"),
    ("heads = { low = 1", "Heads-1 = { low = 1", "must be named by small letters, digits and _"),
    ("heads = 2", "heads = 9", "enqueue[0].heads must lie in 1 to 4 (the space) but got 9"),
    ("heads = 2", "haeds = 2", "unknown key enqueue[0].haeds: the keys of enqueue[0] are"),
    ("kind = 3", "kind = 'tanh'", "enqueue[0].kind must be one of relu, gelu, 3 (the space)"),
    ("shop.towers:Tower", "shop.towers", "model.towers must be module:attribute, one of 'cross'"),
    ("shop.losses:loss", "sofmax", "training.loss must be 'rating', 'softmax', 'in_batch"),
    ("shop:revenue@5", "shop:revenue", "objective.metric must be one of"),
    ("shop:revenue@5", "shop:ndcg@5", "objective.metric must be one of"),
]


@pytest.mark.parametrize(("old", "new", "says"), BAD)
def test_a_bad_part_or_dimension_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, (old, new))
    assert says in str(error.value)


def test_without_parts_a_further_key_is_unknown(tmp_path: Path) -> None:
    file = tmp_path / "plain.toml"
    file.write_text("[space]\nlerning_rate = { low = 0.1, high = 0.2 }", encoding="utf-8")
    with pytest.raises(InputError, match=r"unknown key space.lerning_rate: .* 'learning_rate'\?"):
        load_spec(str(file), folders=[])


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package beside the study file, which fails where it is imported."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder = tmp_path / "shop"
    folder.mkdir()
    for name in ("__init__", "towers", "losses"):
        (folder / f"{name}.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    return folder


def test_the_code_is_known_by_its_source_and_not_imported(tmp_path: Path, shop: Path) -> None:
    spec: Any = read(tmp_path)
    before = code_of(spec)
    assert sorted(before) == ["shop", "shop.losses", "shop.towers"]
    assert len({*before.values()}) == 1  # the same text
    assert changed_code(before, code_of(spec)) == []
    (shop / "losses.py").write_text("", encoding="utf-8")
    [changed] = changed_code(before, code_of(spec))
    assert changed.startswith("shop.losses was source ")
    (shop / "losses.py").unlink()
    assert changed_code(before, code_of(spec))[0].endswith("is not found")


def test_what_comes_along_has_no_code_of_its_own(tmp_path: Path) -> None:
    text = '[model]\ntowers = "cross"\n[space]\ncross_layers = { low = 1, high = 3 }'
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    assert code_of(load_spec(str(tmp_path / "own.toml"), folders=[])) == {}
