"""Bad input of every kind, in this process: one line, exit code 2, nothing written.

What needs processes of its own (damaged archives and databases, servers that do not answer) is in
:mod:`tests.flows.test_bad_input`.
"""

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeprec.dataset import Dataset
from search import recommend, reproduce, retrain, run
from search.errors import InputError
from search.spec import LARGEST_FILE, StudySpec, load_spec
from search.tracking.destination import check_writable, resolve_uri
from search.workspace import PROJECT
from tests.faults.in_process import Command, refused
from tests.flows.conftest import TINY

pytestmark = [pytest.mark.data, pytest.mark.faults]

COMMANDS: dict[str, Command] = {
    "run": run.main,
    "retrain": retrain.main,
    "recommend": recommend.main,
    "reproduce": reproduce.main,
}
STUDIES = dict.fromkeys(("run", "retrain"), ("--study", "tiny"))
few = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Path:
    """One folder for all: nothing that is refused writes anything."""
    path = tmp_path_factory.mktemp("refused")
    (path / "studies").mkdir()
    (path / "studies" / "tiny.toml").write_text(TINY, encoding="utf-8")
    return path


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NOT_WHOLE = st.one_of(
    TEXTS.filter(lambda text: not is_number(text)),
    st.floats().filter(lambda number: not number.is_integer()).map(str),
    st.sampled_from(["", " ", "1.5", "0x10", "1,000", "--", "9" * 5000, "\x1b[31m", "\0"]),
)
NOT_POSITIVE = st.integers(max_value=0).map(str)
HUGE = st.integers(min_value=10**19).map(str)

# --- numbers on the command line --------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("run", "--trials"),
        ("run", "--workers"),
        ("run", "--seed"),
        ("retrain", "--trial"),
        ("retrain", "--top"),
        ("retrain", "--seeds"),
        ("recommend", "--k"),
    ],
)
@few
@given(value=NOT_WHOLE)
def test_a_number_that_is_none(folder: Path, command: str, option: str, value: str) -> None:
    arguments = (*STUDIES.get(command, ()), f"{option}={value}")
    refused(COMMANDS[command], folder, *arguments, message=option)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("run", "--trials"),
        ("run", "--workers"),
        ("retrain", "--top"),
        ("retrain", "--seeds"),
        ("recommend", "--k"),
    ],
)
@few
@given(value=NOT_POSITIVE)
def test_a_number_of_things_below_one(folder: Path, command: str, option: str, value: str) -> None:
    refused(COMMANDS[command], folder, f"{option}={value}", message=option)


@pytest.mark.parametrize("option", ["--trials", "--workers", "--seed"])
@few
@given(value=HUGE)
def test_a_number_beyond_all_bounds(folder: Path, option: str, value: str) -> None:
    refused(run.main, folder, "--study", "tiny", f"{option}={value}", message=option)


@pytest.mark.parametrize("option", ["--timeout", "--grace"])
@few
@given(
    value=st.one_of(
        TEXTS.filter(lambda text: not is_number(text)),
        st.floats(max_value=0).map(str),
        st.sampled_from(["nan", "inf", "-inf", "1e999", "0", "-0.0"]),
    )
)
def test_seconds_that_are_none(folder: Path, option: str, value: str) -> None:
    refused(run.main, folder, "--study", "tiny", f"{option}={value}", message=option)


@few
@given(value=TEXTS.filter(lambda text: not is_number(text)))
def test_an_age_that_is_none(folder: Path, value: str) -> None:
    refused(recommend.main, folder, f"--age={value}", message="--age")


# --- words on the command line ----------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "retrain"])
@few
@given(name=st.one_of(TEXTS, st.sampled_from(["..", ".", "/", "../tiny", "tiny/", "x" * 9000])))
def test_a_study_that_is_none(folder: Path, command: str, name: str) -> None:
    if name not in ("tiny", "tutorial", "ranking"):
        refused(COMMANDS[command], folder, f"--study={name}", message="unknown study")


@pytest.mark.parametrize("option", ["--sampler", "--pruner"])
@few
@given(name=TEXTS)
def test_a_method_that_is_none(folder: Path, option: str, name: str) -> None:
    refused(run.main, folder, "--study", "tiny", f"{option}=x{name}", message=option)


@pytest.mark.parametrize("command", COMMANDS)
@few
@given(name=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
def test_an_option_that_is_none(folder: Path, command: str, name: str) -> None:
    refused(COMMANDS[command], folder, f"--no-{name}-x", message="No such option")


@few
@given(model=TEXTS.filter(lambda text: text and not text.startswith("models:/")))
def test_a_model_that_is_none(folder: Path, model: str) -> None:
    refused(recommend.main, folder, "1", f"--model={model}", message="--model must look like")


@pytest.mark.parametrize("model", ["models:/", "models:/../x", "models:/a/b", "models:/a@b@c"])
def test_a_model_that_leads_elsewhere(folder: Path, model: str) -> None:
    refused(recommend.main, folder, "1", "--model", model, message="--model must look like")


def test_a_model_before_there_is_any(folder: Path) -> None:
    refused(recommend.main, folder, "1", "--model", "models:/x/1", message="there is no model")


@few
@given(run_id=TEXTS.filter(lambda text: not text.startswith("-")))
def test_a_run_before_there_is_any(folder: Path, run_id: str) -> None:
    refused(reproduce.main, folder, run_id, message="there is no MLflow database")


@pytest.mark.parametrize("place", ["x" * 300, "x\x1b[31m", "a\nb", "a\0b", "y" * 5000, "/dev/zero"])
def test_a_folder_of_data_that_is_none(folder: Path, place: str) -> None:
    refused(run.main, folder, "--study", "tiny", "--quiet", "--data-dir", place, message="data")


# --- addresses --------------------------------------------------------------------------------

SCHEMES = st.text("abcxyz+.-", min_size=1, max_size=12)
ADDRESSES = st.one_of(
    st.builds("{}://{}".format, SCHEMES, TEXTS),
    st.builds("sqlite:///{}".format, st.text("ab/.:\0\x1b%?#", max_size=40)),
    st.builds("http://user:hunter2@h:{}/x".format, st.integers(-(10**6), 10**6)),
    st.builds("http://h{}/".format, TEXTS),
    st.builds("postgresql://user:hunter2@h/{}".format, TEXTS),
    st.text(max_size=5000),
    st.sampled_from(["a" * 100_000, "://" * 30_000, "x" * 2001, "sqlite:///" + "x" * 256]),
)


@given(address=ADDRESSES)
def test_a_tracking_uri_is_understood_or_refused(folder: Path, address: str) -> None:
    try:
        destination = resolve_uri(address, folder / "mlruns")
        check_writable(destination, folder / "mlruns")
    except InputError as error:
        text = str(error)
    else:
        assert destination.uri.startswith(("http://", "https://", "sqlite:////"))
        text = destination.shown
    assert text.isprintable()
    assert len(text) < 6000
    assert "hunter2" not in text


BAD_STORAGES = {
    "no scheme": "here",
    "no file": "sqlite://",
    "memory": "sqlite:///:memory:",
    "a folder": "sqlite:////tmp",
    "a port that is a word": "postgresql+psycopg://user:hunter2@h:port/x",
    "a port beyond all ports": "postgresql+psycopg://user:hunter2@h:65536/x",
    "half an IPv6 address": "postgresql+psycopg://user:hunter2@[::1/x",
    "an unknown database": "nosuch://user:hunter2@h/x",
    "an unknown driver": "postgresql+nosuch://user:hunter2@h/x",
    "a web page": "http://user:hunter2@h/x",
    "an unknown option": "postgresql+psycopg://user:hunter2@127.0.0.1:1/x?nonsense=1",
    "a null character": "sqlite:///a\0b",
    "a control character": "sqlite:///\x1b[31m",
    "a long name": "sqlite:///" + "x" * 256,
    "a long address": "sqlite:///" + "x/" * 2000,
}


@pytest.mark.parametrize("command", ["run", "retrain"])
@pytest.mark.parametrize("url", BAD_STORAGES.values(), ids=BAD_STORAGES.keys())
def test_a_storage_that_is_none(folder: Path, command: str, url: str) -> None:
    refused(COMMANDS[command], folder, "--study", "tiny", "--storage", url)


@few
@given(scheme=SCHEMES, rest=TEXTS)
def test_a_storage_of_an_unknown_kind(folder: Path, scheme: str, rest: str) -> None:
    url = f"x{scheme}://user:hunter2@{rest}"
    refused(run.main, folder, "--study", "tiny", f"--storage={url}", message="storage")


@pytest.mark.parametrize("command", COMMANDS)
@few
@given(scheme=SCHEMES, rest=TEXTS)
def test_a_tracking_uri_of_an_unknown_kind(
    folder: Path, command: str, scheme: str, rest: str
) -> None:
    argument = {"recommend": "1", "reproduce": "0" * 32}
    positional = [argument[command]] if command in argument else ["--study", "tiny"]
    uri = f"--tracking-uri=x{scheme}://{rest}"
    refused(COMMANDS[command], folder, *positional, uri, message="racking")


# --- study files ------------------------------------------------------------------------------

TUTORIAL = (PROJECT / "studies" / "tutorial.toml").read_text(encoding="utf-8")
BAD = "bad.toml"

Path_ = tuple[str | int, ...]


def leaves(value: Any, where: Path_ = ()) -> Iterator[Path_]:
    """The way to every value that is no table and no array."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*where, key))
    else:
        yield where


LEAVES = list(leaves(tomllib.loads(TUTORIAL)))
RANGES = sorted({where[:-1] for where in LEAVES if where[-1] == "low"}, key=str)
NUMBERS = [
    where
    for where in LEAVES
    if where[-1] not in ("name", "description", "dataset", "split")
    and where[-1] not in ("multivariate", "group")
]


def at(content: Any, where: Path_) -> Any:
    for key in where:
        content = content[key]
    return content


def toml(value: Any) -> str:
    """A value as TOML has it, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'
    return value.literal if isinstance(value, Literal) else json.dumps(value)


class Literal:
    """A value that TOML has and JSON has not."""

    def __init__(self, literal: str) -> None:
        self.literal = literal


def changed(where: Path_, value: Any) -> str:
    """The tutorial's study with another value somewhere."""
    content = tomllib.loads(TUTORIAL)
    at(content, where[:-1])[where[-1]] = value
    return "\n".join(f"{key} = {toml(inner)}" for key, inner in content.items())


def refused_file(folder: Path, content: str | bytes, message: str = "") -> None:
    path = folder / "studies" / BAD
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        refused(run.main, folder, "--study", str(path), message=message or BAD)
    finally:
        path.unlink()


def test_the_mutations_start_from_a_study_that_is_accepted(folder: Path) -> None:
    path = folder / "studies" / BAD
    path.write_text(changed(("study", "trials"), 50))
    try:
        spec = load_spec(str(path), folders=[])
    finally:
        path.unlink()
    assert spec.space_hash == load_spec("tutorial", folders=[PROJECT / "studies"]).space_hash


@few
@given(where=st.sampled_from(LEAVES), value=st.sampled_from([{}, {"a": 1}, [], [[]], [None]]))
def test_a_table_or_an_array_in_the_place_of_a_value(
    folder: Path, where: Path_, value: Any
) -> None:
    refused_file(folder, changed(where, Literal("1979-05-27") if value == [None] else value))


@few
@given(where=st.sampled_from(NUMBERS), value=st.one_of(TEXTS, st.booleans()))
def test_a_text_or_a_truth_in_the_place_of_a_number(
    folder: Path, where: Path_, value: str | bool
) -> None:
    refused_file(folder, changed(where, value))


@few
@given(where=st.sampled_from(NUMBERS), digits=st.integers(20, 6000), sign=st.sampled_from("+-"))
def test_a_huge_number(folder: Path, where: Path_, digits: int, sign: str) -> None:
    refused_file(folder, changed(where, Literal(sign + "9" * digits)))


@few
@given(where=st.sampled_from(NUMBERS), value=st.sampled_from(["nan", "inf", "-inf", "1e999"]))
def test_a_number_that_is_not_finite(folder: Path, where: Path_, value: str) -> None:
    refused_file(folder, changed(where, Literal(value)))


@pytest.mark.parametrize("where", RANGES, ids=str)
def test_a_swapped_range(folder: Path, where: Path_) -> None:
    found = at(tomllib.loads(TUTORIAL), where)
    swapped = {"low": found["high"], "high": found["low"]}
    refused_file(folder, changed(where, swapped), message="must have low at most high")


@few
@given(where=st.sampled_from(LEAVES), key=TEXTS)
def test_an_unknown_key(folder: Path, where: Path_, key: str) -> None:
    tables = [where[: n + 1] for n in range(len(where) - 1)]
    content = tomllib.loads(TUTORIAL)
    table = next(t for t in (at(content, way) for way in reversed(tables)) if isinstance(t, dict))
    table[f"x{key}"] = 1
    text = "\n".join(f"{name} = {toml(inner)}" for name, inner in content.items())
    refused_file(folder, text, message="unknown key")


@few
@given(where=st.sampled_from([where for where in LEAVES if where[0] == "enqueue"]))
def test_a_missing_key(folder: Path, where: Path_) -> None:
    content = tomllib.loads(TUTORIAL)
    way = where[:3]
    del at(content, way[:-1])[way[-1]]
    text = "\n".join(f"{name} = {toml(inner)}" for name, inner in content.items())
    refused_file(folder, text, message="is missing")


@few
@given(position=st.integers(0, len(TUTORIAL)), byte=st.sampled_from([b"\0", b"\xff", b"\x1b"]))
def test_a_byte_that_no_text_has(folder: Path, position: int, byte: bytes) -> None:
    data = TUTORIAL.encode()
    refused_file(folder, data[:position] + byte + data[position:])


@given(cut=st.integers(0, len(TUTORIAL)))
def test_a_file_that_was_cut_is_refused_or_whole(tmp_path_factory: Any, cut: int) -> None:
    path = tmp_path_factory.getbasetemp() / BAD
    path.write_bytes(TUTORIAL.encode()[:cut])
    try:
        assert isinstance(load_spec(str(path), folders=[]), StudySpec)
    except InputError as error:
        text = str(error)
        assert text.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{a = " * 50_000,
        "[" + ".".join("a" * 20_000) + "]",
        ".".join("a" * 20_000) + " = 1",
        "[[" + ".".join("a" * 20_000) + "]]",
        "# " + "x" * LARGEST_FILE,
        "a = '" + "x" * (LARGEST_FILE - 10) + "'",
        "\n".join(f"a{n} = 1" for n in range(50_000)),
    ],
    ids=["arrays", "tables", "header", "key", "entry", "too large", "long text", "many keys"],
)
def test_a_file_that_is_deep_or_large(folder: Path, text: str) -> None:
    refused_file(folder, text)


def test_a_pipe_in_the_place_of_a_file(folder: Path) -> None:
    path = folder / "studies" / BAD
    os.mkfifo(path)
    try:
        refused(run.main, folder, "--study", "bad", message="must be a file but is not")
    finally:
        path.unlink()
