"""Study files for tests."""

from pathlib import Path

from search.config.reading import load_spec
from search.config.study import StudySpec

SMALL = """
[study]
trials = 6
seed = 3

[training]
epochs = 4
validate_every = 1
batch_size = 60

[space]
depth = { low = 1, high = 2 }
width = { low = 4, high = 8 }
embedding_dimension = { low = 4, high = 4 }
learning_rate = { low = 0.01, high = 0.1 }

[sampler]
name = "random"

[pruner]
name = "none"

[[enqueue]]
name = "reference (8,)"
layer_sizes = [8]
embedding_dimension = 4
learning_rate = 0.05

[[enqueue]]
name = "reference (8, 4)"
layer_sizes = [8, 4]
embedding_dimension = 4
learning_rate = 0.05
"""


def small_spec(folder: Path, *replacements: tuple[str, str]) -> StudySpec:
    """A study of six small trials, its text changed by the given replacements."""
    text = SMALL
    for old, new in replacements:
        assert old in text, f"{old!r} is not in the study file"
        text = text.replace(old, new)
    file = folder / "small.toml"
    file.write_text(text, encoding="utf-8")
    return load_spec(str(file), folders=[])
