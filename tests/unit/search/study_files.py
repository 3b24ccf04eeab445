"""Texts of study files, read and refused."""

import tempfile
from pathlib import Path

import pytest

from search.config.reading import load_spec
from search.config.study import StudySpec
from search.records.errors import InputError

SOFTMAX = "training.loss = 'softmax'\n"


def read(text: str | bytes) -> StudySpec:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "given.toml"
        path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
        return load_spec(str(path), folders=[])


def refusal(text: str | bytes) -> str:
    """What is said about a file that holds the text."""
    with pytest.raises(InputError) as caught:
        read(text)
    return one_line(str(caught.value))


def one_line(message: str) -> str:
    assert message.isprintable(), f"must be one printable line: {message!r}"
    return message


def entry(
    name: str = "'a'", layers: str = "[64, 32]", embedding: str = "32", rate: str = "0.05"
) -> str:
    return (
        f"[[enqueue]]\nname = {name}\nlayer_sizes = {layers}\n"
        f"embedding_dimension = {embedding}\nlearning_rate = {rate}\n"
    )
