"""Study files that are changed at random: one line that names the file, nothing written."""

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import run
from search.config.study import LARGEST_FILE, StudySpec, load_spec
from search.config.workspace import PROJECT
from search.records.errors import InputError
from tests.faults.deceit import few
from tests.faults.in_process import TEXTS, refused

pytestmark = [pytest.mark.data, pytest.mark.faults]

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
