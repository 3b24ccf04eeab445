"""A study of trials that take a second, for all tests that run commands."""

TINY = """
[study]
trials = 4
seed = 7

[training]
epochs = 4
validate_every = 1

[space]
depth = { low = 1, high = 2 }
width = { low = 16, high = 32 }
embedding_dimension = { low = 16, high = 16 }
learning_rate = { low = 0.05, high = 0.2 }

[pruner]
name = "median"
startup_trials = 2
warmup_epochs = 1

[[enqueue]]
name = "reference (16,)"
layer_sizes = [16]
embedding_dimension = 16
learning_rate = 0.1
"""


def tiny_study(*changes: tuple[str, str]) -> str:
    """The text of the study file, with replacements, each of which replaces something."""
    text = TINY
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text
