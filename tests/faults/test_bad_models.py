"""Damaged and deceitful model files: refused in one line, no code of theirs run."""

import io
import json
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec.data.verified_files import MANIFEST, _digest
from deeprec.errors import RequestError
from deeprec.recommender_files import ARRAYS_FILE, CATALOG_FILE, FILES, QUERY_FILE
from search.commands.recommend import load
from search.records.errors import InputError
from tests.faults.deceit import JSON, WRITER, Trap, few, one_line
from tests.faults.in_process import snapshot
from tests.tiny_recommender import tiny_recommender

pytestmark = [pytest.mark.data, pytest.mark.faults]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "recommender"
    tiny_recommender().save(folder)
    return folder


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "recommender"))


def refused_model(folder: Path) -> str:
    before = snapshot(folder.parent)
    with pytest.raises(InputError) as caught:
        load(folder)
    assert snapshot(folder.parent) == before
    return one_line(caught)


def sign(folder: Path) -> None:
    """Makes the manifest agree with the files, as an attacker would."""
    digests = {name: _digest(folder / name) for name in FILES if (folder / name).is_file()}
    (folder / MANIFEST).write_text(json.dumps(digests))


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@few
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7), is_cut=st.booleans())
def test_a_damaged_model(model: Path, name: str, position: int, bit: int, is_cut: bool) -> None:
    genuine = (model / name).read_bytes()
    place = position % len(genuine)
    after = b"" if is_cut else bytes([genuine[place] ^ 1 << bit]) + genuine[place + 1 :]
    (model / name).write_bytes(genuine[:place] + after)
    refused_model(model)
    (model / name).write_bytes(genuine)


def test_a_pickle_in_the_place_of_any_file_runs_no_code(model: Path, tmp_path: Path) -> None:
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    for name in FILES:
        genuine = (model / name).read_bytes()
        (model / name).write_bytes(trap)
        sign(model)
        refused_model(model)
        (model / name).write_bytes(genuine)
    assert not (tmp_path / "sprung").exists()


def with_arrays(folder: Path, save: Callable[..., None] = np.savez, **changed: Any) -> str:
    """What is said of the model with other arrays; a None leaves an array out."""
    arrays = dict(np.load(folder / ARRAYS_FILE)) | changed
    save(folder / ARRAYS_FILE, **{name: each for name, each in arrays.items() if each is not None})
    sign(folder)
    return refused_model(folder)


def test_a_pickle_in_an_array_runs_no_code(model: Path, tmp_path: Path) -> None:
    trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
    assert "no model of ours" in with_arrays(model, user_ids=trap)
    assert not (tmp_path / "sprung").exists()


ENCODING: dict[str, Any] = {"name": "user_gender", "kind": "categorical", "values": [1, 0]}


@pytest.mark.parametrize(
    "encodings",
    [
        "text",
        {"name": "user_gender"},
        *([1], [{}], [ENCODING, ENCODING], [ENCODING]),
        *([{**ENCODING, "name": name}] for name in (1, "shoe_size")),
        [{**ENCODING, "kind": "hashed"}],
        *([{**ENCODING, "values": values}] for values in ([], [2], ["F"])),
        [{"name": "x", "kind": "cross", "of": ["a", "b"], "table": [[1]]}],
        [ENCODING, {"name": "x", "kind": "cross", "of": ["user_gender"] * 2, "table": [[1]]}],
    ],
    ids=str,
)
def test_encodings_that_are_none(model: Path, encodings: Any) -> None:
    about = json.loads((model / CATALOG_FILE).read_text())
    (model / CATALOG_FILE).write_text(json.dumps({**about, "encodings": encodings}))
    sign(model)
    assert "no model of ours" in refused_model(model)


def with_config(folder: Path, change: Callable[[Any], Any]) -> None:
    path = folder / QUERY_FILE
    with zipfile.ZipFile(path) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    members["config.json"] = json.dumps(change(json.loads(members["config.json"]))).encode()
    with zipfile.ZipFile(path, "w") as changed:
        for name, data in members.items():
            changed.writestr(name, data)
    sign(folder)


CLASSES = [
    {"module": "os", "class_name": "system", "config": {"command": "false"}},
    {"module": "builtins", "class_name": "eval", "config": "1"},
    {"module": "subprocess", "class_name": "Popen", "config": {"args": ["false"]}},
    {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "http://x"}},
    {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wAA"}}},
    },
    {"module": "keras", "class_name": "Sequential", "config": {"layers": []}},
    {},
    [],
    None,
]


@pytest.mark.parametrize("config", CLASSES, ids=str)
def test_a_tower_of_another_class(model: Path, config: Any) -> None:
    with_config(model, lambda _genuine: config)
    assert re.search("no model of ours|must hold a QueryModel", refused_model(model))


@few
@given(value=JSON, key=st.sampled_from(["data_name", "titles", "encodings", "stars"]))
def test_a_catalog_of_anything_is_refused_or_a_catalog(model: Path, key: str, value: Any) -> None:
    genuine = (model / CATALOG_FILE).read_text()
    (model / CATALOG_FILE).write_text(json.dumps({**json.loads(genuine), key: value}))
    sign(model)
    try:
        loaded = load(model)
        assert loaded.recommend(1)
        assert loaded.recommend(None, **WRITER)
    except (InputError, RequestError) as error:
        found = str(error)
        assert found.isprintable()
    finally:
        (model / CATALOG_FILE).write_text(genuine)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("user_ids", np.zeros(6, np.int64)),
        ("user_ids", np.zeros(5, np.int32)),
        ("movie_ids", np.zeros((7, 1), np.int32)),
        ("candidates", np.zeros((7, 2), np.float64)),
        ("candidates", np.zeros(7, np.float32)),
        ("history.starts", np.full(7, 10**12, np.int64)),
        ("history.starts", np.full(7, -1, np.int64)),
        ("history.movies", np.full(6, 7, np.int32)),
        ("history.movies", np.full(6, -1, np.int32)),
        ("history.ratings", np.zeros(5, np.float32)),
        ("users.user_gender", np.full(6, 9, np.int32)),
        ("users.user_id", np.array("text")),
        *((name, None) for name in ("user_ids", "candidates", "history.movies", "users.user_id")),
    ],
    ids=str,
)
def test_arrays_that_do_not_fit_or_are_missing(model: Path, name: str, array: Any) -> None:
    assert name in np.load(model / ARRAYS_FILE)
    said = with_arrays(model, **{name: array})
    assert array is not None or "no model of ours" in said


def test_arrays_that_are_a_bomb(model: Path) -> None:
    bomb = np.zeros(50_000_000, np.uint8)
    assert "would unpack to 50,0" in with_arrays(model, np.savez_compressed, bomb=bomb)


def test_an_array_that_claims_to_be_huge(model: Path) -> None:
    header, kind = io.BytesIO(), {"descr": "<f4", "fortran_order": False, "shape": (2**50, 2)}
    np.lib.format.write_array_header_1_0(header, kind)
    with zipfile.ZipFile(model / ARRAYS_FILE, "a") as opened:
        opened.writestr("huge.npy", header.getvalue())
    sign(model)
    assert "no model of ours" in refused_model(model)
