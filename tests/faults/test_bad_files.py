"""Damaged and deceitful files and requests: refused in one line, nothing written, no code run."""

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, ErrorCode

from deeprec.archive import extract_archive
from deeprec.cache import Entry, read_entry, read_or_make, write_entry
from deeprec.errors import DataError, RequestError
from deeprec.recommender import ARRAYS_FILE, CATALOG_FILE, FILES, QUERY_FILE, Recommender
from deeprec.sources import source_at
from deeprec.verified_files import MANIFEST, _digest
from search.errors import InputError
from search.recommending import load
from tests.faults.in_process import snapshot
from tests.faults.served import Served
from tests.tiny_recommender import tiny_recommender
from tests.unit.deeprec.archives import FILES as PUBLISHED
from tests.unit.deeprec.archives import read_files, release_of, spec_of, write_archive, write_zip

pytestmark = [pytest.mark.data, pytest.mark.faults]

few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
WRITER: dict[str, Any] = {"age": 30, "gender": "F", "occupation": "writer"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert text.isprintable(), repr(text)
    assert len(text) < 1500
    return text


# --- archives ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive") / "ml-100k.zip")


def refused_archive(genuine: Path, content: bytes, message: str = "") -> None:
    """Another content in the place of the genuine archive is refused before it is unpacked."""
    release, folder = release_of(genuine), genuine.parent / "other"
    folder.mkdir(exist_ok=True)
    path = folder / "ml-100k.zip"
    path.write_bytes(content)
    before = snapshot(genuine.parent)
    for place in (folder, path):
        with pytest.raises(DataError) as caught:
            source_at(release, place, genuine.parent / "cache", lambda _line: None)
        assert message in one_line(caught)
    assert snapshot(genuine.parent) == before


@few
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_an_archive_with_a_flipped_bit(archive: Path, position: int, bit: int) -> None:
    content = bytearray(archive.read_bytes())
    content[position % len(content)] ^= 1 << bit
    refused_archive(archive, bytes(content), "is damaged or not ml-100k.zip")


@few
@given(cut=st.integers(0, 10**6))
def test_a_truncated_archive(archive: Path, cut: int) -> None:
    content = archive.read_bytes()
    refused_archive(archive, content[: cut % len(content)], "must have")


@few
@given(more=st.binary(min_size=1, max_size=100))
def test_an_archive_that_goes_on(archive: Path, more: bytes) -> None:
    refused_archive(archive, archive.read_bytes() + more, "must have")


@few
@given(content=st.binary(max_size=200))
def test_a_file_that_is_no_archive(archive: Path, content: bytes) -> None:
    refused_archive(archive, content)


def refused_members(place: Path, path: Path, *, unpacked: int = 200) -> str:
    """Even an archive that is taken for genuine yields the known files or nothing."""
    outside = snapshot(place)
    files = place / "files"
    with pytest.raises(DataError) as caught:
        extract_archive(path, spec_of(path), files)
    written = {name: data for name, data in snapshot(place).items() if name not in outside}
    assert {name.split("/")[0] for name in written} <= {"files"}
    assert sum(len(data) for data in written.values() if data) <= unpacked
    return one_line(caught)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "must contain ml-100k/u.data"),
        ({"u.data": b"", "u.item": b"", "u.user": b""}, "must contain ml-100k/u.data"),
        ({f"ml-1m/{name}": data for name, data in PUBLISHED.items()}, "must contain"),
        ({f"../ml-100k/{name}": data for name, data in PUBLISHED.items()}, "must contain"),
        ({f"/ml-100k/{name}": data for name, data in PUBLISHED.items()}, "must contain"),
        ({f"ml-100k\\{name}": data for name, data in PUBLISHED.items()}, "must contain"),
        ({"ml-100k/u.data/": b""}, "must contain ml-100k/u.data"),
        ({"ml-100k/u.data": bytes(30_000_000)}, "but has more than"),
        ({"ml-100k/u.data": b""}, "is damaged or not u.data"),
    ],
    ids=[
        "nothing",
        "no folder",
        "another folder",
        "above",
        "absolute",
        "backslashes",
        "a folder for a file",
        "a bomb",
        "an empty file",
    ],
)
def test_an_archive_with_wrong_members(
    tmp_path: Path, members: dict[str, bytes], message: str
) -> None:
    path = write_zip(tmp_path / "ml-100k.zip", members)
    assert message in refused_members(tmp_path, path)


@few
@given(name=st.text("./\\ab~", min_size=1, max_size=12))
def test_a_member_that_leads_elsewhere_is_never_unpacked(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    place = tmp_path_factory.mktemp("members")
    members = {f"ml-100k/{known}": data for known, data in PUBLISHED.items()}
    path = write_zip(place / "ml-100k.zip", {f"../{name}": b"x", name: b"x", **members})
    assert read_files(extract_archive(path, spec_of(path), place / "files")) == PUBLISHED
    assert {each.name for each in place.iterdir()} == {"files", "ml-100k.zip"}


def encrypted(content: bytearray) -> None:
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + flags] |= 1


def unknown_compression(content: bytearray) -> None:
    for mark, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(mark) + method] = 97


def as_lzma(content: bytearray) -> None:
    for mark, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(mark) + method] = zipfile.ZIP_LZMA


def as_bzip2(content: bytearray) -> None:
    for mark, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(mark) + method] = zipfile.ZIP_BZIP2


@pytest.mark.parametrize("change", [encrypted, unknown_compression, as_lzma, as_bzip2])
def test_an_archive_that_is_packed_in_another_way(
    tmp_path: Path, change: Callable[[bytearray], None]
) -> None:
    path = write_archive(tmp_path / "ml-100k.zip")
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    assert "cannot be read as a zip archive" in refused_members(tmp_path, path)


@few
@given(position=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_any_archive_yields_the_published_files_or_none(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    place = tmp_path_factory.mktemp("changed")
    path = write_archive(place / "ml-100k.zip")
    content = bytearray(path.read_bytes())
    content[position % len(content)] = byte
    path.write_bytes(content)
    try:
        files = extract_archive(path, spec_of(path), place / "files")
    except DataError as error:
        found = str(error)
        assert found.isprintable()
    else:
        assert read_files(files) == PUBLISHED


# --- model files ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return tiny_recommender()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, recommender: Recommender) -> Path:
    folder = tmp_path_factory.mktemp("model") / "recommender"
    recommender.save(folder)
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
    """Makes the manifest agree with the files, as whoever wants to deceive would."""
    digests = {name: _digest(folder / name) for name in FILES if (folder / name).is_file()}
    (folder / MANIFEST).write_text(json.dumps(digests))


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@few
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_model_with_a_flipped_bit(model: Path, name: str, position: int, bit: int) -> None:
    genuine = (model / name).read_bytes()
    content = bytearray(genuine)
    content[position % len(content)] ^= 1 << bit
    (model / name).write_bytes(content)
    refused_model(model)
    (model / name).write_bytes(genuine)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@few
@given(cut=st.integers(0, 10**6))
def test_a_model_that_was_cut(model: Path, name: str, cut: int) -> None:
    genuine = (model / name).read_bytes()
    (model / name).write_bytes(genuine[: cut % len(genuine)])
    refused_model(model)
    (model / name).write_bytes(genuine)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@pytest.mark.parametrize("kind", ["missing", "a folder", "a pipe", "a link to nothing"])
def test_a_model_that_lacks_a_file(model: Path, name: str, kind: str) -> None:
    path = model / name
    path.unlink()
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link to nothing":
        path.symlink_to("nowhere")
    assert "does not hold a whole model" in refused_model(model)


@few
@given(manifest=JSON)
def test_a_manifest_of_anything(model: Path, manifest: Any) -> None:
    (model / MANIFEST).write_text(json.dumps(manifest))
    assert "does not hold a whole model" in refused_model(model)


@pytest.mark.parametrize("name", ["../query_model.keras", "/etc/passwd", "a/b", "..", "", ".x"])
def test_a_manifest_with_a_name_that_leads_elsewhere(model: Path, name: str) -> None:
    digests = json.loads((model / MANIFEST).read_text())
    (model / MANIFEST).write_text(json.dumps({**digests, name: "0" * 64}))
    assert "must name files of the folder" in refused_model(model)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_a_pickle_in_the_place_of_any_file_runs_no_code(model: Path, tmp_path: Path) -> None:
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    for name in FILES:
        genuine = (model / name).read_bytes()
        (model / name).write_bytes(trap)
        sign(model)
        refused_model(model)
        (model / name).write_bytes(genuine)
    assert not (tmp_path / "sprung").exists()


def test_a_pickle_in_an_array_runs_no_code(model: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(model / ARRAYS_FILE))
    arrays["user_ids"] = np.array([Trap(tmp_path / "sprung")], dtype=object)
    np.savez(model / ARRAYS_FILE, **arrays)
    sign(model)
    assert "no model of ours" in refused_model(model)
    assert not (tmp_path / "sprung").exists()


ENCODING: dict[str, Any] = {"name": "user_gender", "kind": "categorical", "values": [1, 0]}


@pytest.mark.parametrize(
    "encodings",
    [
        "text",
        {"name": "user_gender"},
        [1],
        [{}],
        [{**ENCODING, "name": 1}],
        [{**ENCODING, "name": "shoe_size"}],
        [{**ENCODING, "kind": "hashed"}],
        [{**ENCODING, "values": []}],
        [{**ENCODING, "values": [2]}],
        [{**ENCODING, "values": ["F"]}],
        [ENCODING, ENCODING],
        [ENCODING],
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
    """Changes the configuration of the query tower."""
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
    assert "no model of ours" in refused_model(model) or "must hold a QueryModel" in refused_model(
        model
    )


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
    ],
    ids=str,
)
def test_arrays_that_do_not_fit(model: Path, name: str, array: Any) -> None:
    arrays = dict(np.load(model / ARRAYS_FILE))
    assert name in arrays
    np.savez(model / ARRAYS_FILE, **{**arrays, name: array})
    sign(model)
    refused_model(model)


@pytest.mark.parametrize("name", ["user_ids", "candidates", "history.movies", "users.raw_user_age"])
def test_arrays_of_which_one_is_missing(model: Path, name: str) -> None:
    arrays = dict(np.load(model / ARRAYS_FILE))
    del arrays[name]
    np.savez(model / ARRAYS_FILE, **arrays)
    sign(model)
    assert "no model of ours" in refused_model(model)


def test_arrays_that_are_a_bomb(model: Path) -> None:
    arrays = dict(np.load(model / ARRAYS_FILE))
    np.savez_compressed(model / ARRAYS_FILE, **arrays, bomb=np.zeros(50_000_000, np.uint8))
    sign(model)
    assert "would unpack to 50,0" in refused_model(model)


def test_an_array_that_claims_to_be_huge(model: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (2**50, 2)}
    )
    with zipfile.ZipFile(model / ARRAYS_FILE, "a") as opened:
        opened.writestr("huge.npy", header.getvalue())
    sign(model)
    assert "no model of ours" in refused_model(model)


# --- requests ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(recommender: Recommender) -> Served:
    return Served(recommender)


def test_a_request_is_answered(served: Served) -> None:
    status, text = served.ask(b'{"dataframe_records": [{"user_id": 2, "k": 1}]}')
    assert status == 200
    assert json.loads(text)["predictions"][0]["title"] == "Dune (1984)"


def refused_request(served: Served, body: bytes | str, content_type: str) -> None:
    status, text = served.ask(body.encode() if isinstance(body, str) else body, content_type)
    assert status == 400, text
    assert json.loads(text)["message"]
    assert "Traceback" not in text
    assert "stack_trace" not in text


def refused_rows(served: Served, *rows: Any) -> None:
    refused_request(served, json.dumps({"dataframe_records": rows}), "application/json")


@pytest.mark.parametrize(
    "row",
    [
        {"user_id": 77},
        {"user_id": 2**70},
        {"user_id": "one"},
        {"user_id": [1]},
        {"user_id": {"a": 1}},
        {"user_id": None},
        {"user_id": float("nan")},
        {"user_id": float("inf")},
        {"user_id": 1, "k": 0},
        {"user_id": 1, "k": -(2**62)},
        {"user_id": 1, "k": 2**70},
        {"user_id": 1, "k": "many"},
        {"user_id": 1, **WRITER},
        {**WRITER, "age": 0},
        {**WRITER, "age": 131},
        {**WRITER, "age": float("nan")},
        {**WRITER, "age": float("inf")},
        {**WRITER, "age": "old"},
        {**WRITER, "gender": "\x1b[31m"},
        {**WRITER, "gender": 7},
        {**WRITER, "gender": ["F"]},
        {**WRITER, "occupation": "w" * 100_000},
        {**WRITER, "occupation": "\0"},
        {"age": 30},
        {"user": 1},
        {},
        1,
        "a",
        [1],
        None,
    ],
    ids=lambda row: str(row)[:40],
)
def test_a_row_that_cannot_be_answered(served: Served, row: Any) -> None:
    refused_rows(served, row)
    refused_rows(served, {"user_id": 1}, row) if isinstance(row, dict) and row else None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        '"a"',
        "\0",
        "{}",
        '{"dataframe_records": 1}',
        '{"dataframe_records": []}',
        '{"dataframe_split": {}}',
        '{"dataframe_split": {"columns": ["user_id"], "data": [[1, 2]]}}',
        '{"dataframe_split": {"columns": ["user_id", "user_id"], "data": [[1, 2]]}}',
        '{"inputs": {}}',
        '{"inputs": []}',
        '{"inputs": {"user_id": [1, 2], "k": [1]}}',
        '{"instances": [], "inputs": []}',
    ],
)
def test_a_body_that_is_no_request(served: Served, body: str) -> None:
    refused_request(served, body, "application/json")


@few
@given(user=st.integers(-(2**63), 2**63 - 1).filter(lambda user: user not in (0, 1, 2, 3, 5, 8)))
def test_an_unknown_user(served: Served, user: int) -> None:
    refused_rows(served, {"user_id": user})


@few
@given(k=st.integers(-(2**63), 0))
def test_too_few_movies(served: Served, k: int) -> None:
    refused_rows(served, {"user_id": 1, "k": k})


@few
@given(gender=st.text(max_size=20).filter(lambda text: text.strip().upper() not in ("F", "M")))
def test_an_unknown_gender(served: Served, gender: str) -> None:
    refused_rows(served, {**WRITER, "gender": gender})


CELLS = st.one_of(JSON, st.integers(), st.floats(), st.just(pd.NaT), st.just(np.float64("nan")))


@given(
    cells=st.dictionaries(
        st.sampled_from(["user_id", "k", "age", "gender", "occupation"]), CELLS, min_size=1
    )
)
def test_any_cells_are_answered_or_refused(served: Served, cells: dict[str, Any]) -> None:
    """As a program meets the model that enforces no signature."""
    request = pd.DataFrame({name: pd.Series([cell], dtype=object) for name, cell in cells.items()})
    try:
        answer = served.model.predict(None, request)  # type: ignore[arg-type]
    except MlflowException as error:
        found = error
        assert found.error_code == ErrorCode.Name(INVALID_PARAMETER_VALUE)
        assert found.message.isprintable()
        assert len(found.message) < 500
    else:
        assert set(answer.columns) == {"user_id", "rank", "movie_id", "title", "score"}


@few
@given(user=st.integers(), k=st.integers(max_value=0))
def test_a_recommender_asked_by_a_program(recommender: Recommender, user: int, k: int) -> None:
    with pytest.raises(RequestError) as caught:
        recommender.recommend(user, k)
    one_line(caught)


# --- the cache --------------------------------------------------------------------------------

ENTRY = Entry({"ids": np.arange(5, dtype=np.int32)}, {"source": "a test"})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    (folder / "prepared").mkdir()
    return folder


def refused_manifest(cache: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """It is refused, and the entry is made again."""
    prepared = cache / "prepared"
    write_entry(prepared, "abc", ENTRY)
    path = prepared / "abc.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    before = snapshot(cache)
    with pytest.raises(DataError) as caught:
        read_entry(prepared, "abc")
    one_line(caught)
    assert snapshot(cache) == before
    lines: list[str] = []
    made = read_or_make(cache, "abc", lambda: ENTRY, lines.append)
    assert list(made.arrays) == ["ids"]
    assert lines[0].startswith("the prepared arrays are damaged and will be rebuilt: ")


@few
@given(manifest=JSON)
def test_a_cache_manifest_of_anything(cache: Path, manifest: Any) -> None:
    refused_manifest(cache, lambda _genuine: manifest)


@few
@given(key=st.sampled_from(["fingerprint", "size", "sha256", "notes"]), value=JSON)
def test_a_cache_manifest_with_a_wrong_entry(cache: Path, key: str, value: Any) -> None:
    if not (key == "notes" and isinstance(value, dict)):
        refused_manifest(cache, lambda genuine: {**genuine, key: value})


@pytest.mark.parametrize("key", ["fingerprint", "size", "sha256", "notes"])
def test_a_cache_manifest_that_lacks_an_entry(cache: Path, key: str) -> None:
    refused_manifest(cache, lambda genuine: {n: v for n, v in genuine.items() if n != key})


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\0", "{", "NaN"])
def test_a_cache_manifest_that_is_none(cache: Path, text: str) -> None:
    prepared = cache / "prepared"
    write_entry(prepared, "abc", ENTRY)
    (prepared / "abc.json").write_text(text)
    with pytest.raises(DataError) as caught:
        read_entry(prepared, "abc")
    assert "manifest cannot be read" in one_line(caught)


def test_pickled_arrays_in_the_cache_run_no_code(cache: Path, tmp_path: Path) -> None:
    prepared = cache / "prepared"
    write_entry(prepared, "abc", ENTRY)
    trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
    np.savez(prepared / "abc.npz", ids=trap)
    manifest = json.loads((prepared / "abc.json").read_text())
    manifest["size"] = (prepared / "abc.npz").stat().st_size
    manifest["sha256"] = _digest(prepared / "abc.npz")
    (prepared / "abc.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError):
        read_entry(prepared, "abc")
    assert not (tmp_path / "sprung").exists()
