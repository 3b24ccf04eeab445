"""Bad study files: one line that names the key, what it must be and what it was."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.config.addresses import PROJECT
from search.config.reading import LARGEST_FILE
from search.config.study import StudySpec
from search.records.errors import InputError
from tests.unit.search.study_files import SOFTMAX, entry, one_line, read, refusal

ONE_LINE = """
[spaec] => unknown key spaec ... study, data, model, objective ... 'space'
study.trails = 5 => unknown key study.trails ... name, description, trials ... mean 'trials'?
space.depth = {low = 1, hihg = 2, high = 3} => the keys of space.depth are low, high ... 'high'
space.depth = {low = 1, hihg = 2} => space.depth.high is missing ... unknown key space.depth.hihg
space.depth = {low = 1} => space.depth.high is missing
sampler.startup_trials = 3 => sampler.name is missing
sampler = {name = 'random', startup_trials = 3} => startup_trials: the keys of sampler are name
pruner = {name = 'none', warmup_epochs = 3} => pruner.warmup_epochs: the keys of pruner are name
space = 3 => space must be a table but got 3
[[study]] => study must be a table
study.trials = '5' => study.trials must be an integer but got '5'
study.seed = true => study.seed must be an integer but got true
study.trials = 5.0 => must be an integer but got 5.0
space.learning_rate = {low = true, high = 1} => learning_rate.low must be a number but got true
training.epochs = 1979-05-27 => must be an integer but got '1979-05-27'
study.description = 1 => study.description must be text but got 1
sampler.name = 3 => sampler.name must be one of cmaes
study.trials = 0 => study.trials must be at least 1 but got 0
study.trials = 100001 => must be at most 100000 but got 100001
study.seed = -1 => study.seed must be at least 0 but got -1
study.max_failures_in_a_row = 0 => must be at least 1 but got 0
study.name = '../x' => study.name must be 1 to 64 ... got '../x'
objective.metric = 'gini@10' => objective.metric must be one of recall@k ... 'gini@10' ... in also
objective.also = ['gini'] => objective.also must be one of ... novelty@k ... but got 'gini'
objective.slices = ['region'] => objective.slices must name features ... but 'region' is none
data.split = 'time' => 'random' or 'temporal' but got 'time'
data.dataset = 'x' => data.dataset must be 'movielens/100k', ... 'movielens/25m' but got 'x'
training.epochs = 0 => training.epochs must be at least 1 but got 0
training.epochs = 10001 => must be at most 10000
training = {epochs = 4, validate_every = 5} => must have validate_every at most epochs (4) but got 5
training.batch_size = 0 => training.batch_size must be at least 1
training.loss = 'sofmax' => 'rating', 'softmax', ... or 'sampled_softmax', module:attribute ... got
training.negatives = 8 => training.negatives must be left out where training.loss is 'rating'
space.spectral_weight = {low = 1, high = 2} => must be left out ... has no spectral_dimension
space.spectral_dimension = {low = 8, high = 8} => left out where training.loss is 'rating'
training.optimizer = 'sgd' => training.optimizer must be 'adagrad' or 'adam' but got 'sgd'
space.depth = {low = 4, high = 1} => must have low at most high but got low = 4 and high = 1
space.learning_rate = {low = 1.0, high = 0.1} => space.learning_rate must have low at most high
space.depth = {low = 0, high = 1} => space.depth.low must be at least 1
space.depth = {low = 1, high = 9} => space.depth.high must be at most 8
space.width = {low = 1, high = 8192} => width.high must be at most 4096
space.embedding_dimension = {low = 1, high = 2048} => embedding_dimension.high must be at most 1024
space.width = {low = 33, high = 60} => must contain a power of two ... low = 33 ... 32 and 64
space.learning_rate = {low = 0, high = 1} => rate.low must be greater than 0.0 but got 0
space.learning_rate = {low = nan, high = inf} => low must be finite ... high must be finite but
space.learning_rate = {low = 1, high = 101} => space.learning_rate.high must be at most 100
space.normalize = [true, true] => space.normalize must name each choice once but got [True, True]
space.normalize = [] => space.normalize must have at least 1 entries
sampler.name = 'cma-es' => name must be one of cmaes, grid, nsgaii, random, tpe ... 'cmaes'?
sampler = {name = 'tpe', group = true} => sampler must have multivariate = true where group = true
sampler = {name = 'nsgaii', population_size = 1} => population_size must be at least 2 but got 1
sampler = {name = 'grid', learning_rates = 500} => at most 100000 configurations ... res x 500
pruner.name = 'medain' => must be one of hyperband, median, none, patient, percentile ... 'median'?
pruner = {name = 'percentile', percentile = 100} => percentile must be less than 100.0 but got 100
pruner = {name = 'median', warmup_epochs = 30} => nothing to prune ... epoch 30 ... after epoch 25
pruner = {name = 'percentile', warmup_epochs = 26} => pruner 'percentile' leaves nothing to prune
pruner = {name = 'patient', patience = 4} => 'patient' leaves nothing to prune ... epoch 30
pruner = {name = 'hyperband', min_epochs = 30} => pruner 'hyperband' leaves nothing to prune
training.epochs = 5 => leaves nothing to prune ... missing (epochs is 5) ... 'none'
"""
"""What is in a file, and what is said of it."""

CASES = ONE_LINE.strip().splitlines()

WARM = "space.temperature = { low = 0.1, high = 1.0 }\n"
BAD_FILES: list[tuple[str | bytes, str]] = [
    *((text, said) for text, _, said in (each.partition(" => ") for each in CASES)),
    (b"[study]\nname = '\xff'", "must be UTF-8 ... line 2 ... 0xff"),
    ("[study]\ntrials =", "not valid TOML at line 2, column 9: Invalid value"),
    ("a = '''b", "not valid TOML at line 1, column 9"),
    ("a = 1\na = 2", "line 2 ... Cannot overwrite a value"),
    ("a = " + "[" * 5000, "nested too deeply"),
    ("a = " + "1" * 5000, "not valid TOML"),
    (entry() + "color = 1", "unknown key enqueue[0].color: the keys of enqueue[0] are name, layer"),
    ('"a\\nb" = 1', r"unknown key 'a\nb'"),
    ("[enqueue]\nname = 'a'", "enqueue must be an array but got a"),
    (WARM, "space.temperature must be left out where training.loss is 'rating'"),
    (SOFTMAX + "space.dropout = {low = 0.0, high = 1.0}", "dropout.high must be at most 0.99"),
    (SOFTMAX + "space.l2 = {low = 0, high = 0.1}", "space.l2.low must be greater than 0"),
    (SOFTMAX + WARM + "sampler.name = 'grid'", "learning rates, so space.temperature must be one"),
    (SOFTMAX + WARM + entry(), "enqueue[0].temperature must lie in 0.1 to 1.0 ... got nothing"),
    (entry(layers="[]"), "enqueue[0].layer_sizes must have 1 to 4"),
    (entry(layers="[64, '32']"), "enqueue[0].layer_sizes[1] must be an integer but got '32'"),
    (entry(layers="[64, 64, 64, 64, 64]"), "must have 1 to 4 widths (the depth of the space)"),
    (entry(layers="[32, 64]"), "layer_sizes must not widen toward the output but got [32, 64]"),
    (entry(layers="[512, 32]"), "must be among 16, 32, 64, 128, 256 ... got [512, 32]"),
    (entry(layers="[48]"), "among 16, 32, 64 ... got [48]"),
    (entry(embedding="48"), "embedding_dimension must be one of 16, 32, 64, 128 ... got 48"),
    (entry(rate="2.0"), "enqueue[0].learning_rate must lie in 0.005 to 1.0 ... got 2.0"),
    (entry(name="''"), "name must have at least 1 characters"),
    (entry(name='"a\\nb"'), "enqueue[0].name must be printable"),
    (entry() + entry(layers="[32]"), "enqueue[1].name must be unique but 'a' is enqueue[0]"),
    (entry() + entry(name="'b'"), "enqueue[1] must differ from the others but repeats enqueue[0]"),
    (
        "objective.metrics = ['parameters']",
        "objective.metrics must be one of recall@k, hit@k, ndcg",
    ),
    ("objective.metrics = ['ndcg@10', 'bytes']", "objective.metrics must be one of"),
    ("objective.metrics = ['ndcg@10', 'coverage@10']", "says nothing of what users want"),
    ("objective.metrics = ['ndcg@10', 'ndcg@10']", "must name each once but got ndcg@10, ndcg@10"),
    (
        "[objective]\nmetric = 'ndcg@10'\nmetrics = ['ndcg@10', 'parameters']",
        "objective must have metric or metrics but got both",
    ),
    (
        "objective.metrics = ['ndcg@10', 'parameters']\npruner.name = 'median'",
        "pruner.name must be 'none', or [pruner] left out ... but got 'median'",
    ),
    (
        "objective.metrics = ['ndcg@10', 'parameters']\nsampler.name = 'cmaes'",
        "sampler.name must be 'tpe', 'nsgaii', 'random' or 'grid' ... but got 'cmaes'",
    ),
    ("limits.parameters = 0", "limits.parameters must be at least 1 but got 0"),
    ("limits.milliseconds = nan", "limits.milliseconds must be"),
    ("limits.bytes = 8", "unknown key limits.bytes: the keys of limits are parameters, mega"),
    (entry() + "normalize = true", "enqueue[0].normalize must be left out ... but got true"),
    (
        entry() + "dropout = 0.5",
        "enqueue[0].dropout must be left out (not in the space) but got 0.5",
    ),
]


@pytest.mark.parametrize(("text", "said"), BAD_FILES, ids=lambda value: repr(value)[:60])
def test_a_bad_file_is_refused_in_one_line(text: str | bytes, said: str) -> None:
    message = refusal(text)
    missing = [part for part in ("given.toml", *said.split(" ... ")) if part not in message]
    assert not missing, f"{missing} must be in {message!r}"


def test_everything_wrong_is_named_at_once() -> None:
    message = refusal("[study]\ntrials = 0\nsede = 1\n[training]\nepochs = 'x'\n[smapler]")
    assert len(message.split("; ")) == 4
    for key in ("study.trials", "study.sede", "training.epochs", "smapler"):
        assert key in message


TOML_CHARACTERS = "[]{}=\"'\n\r #.,-_0123abdehnpstuy\x00é"
TUTORIAL = (PROJECT / "studies" / "tutorial.toml").read_text(encoding="utf-8")
Way = tuple[str | int, ...]


class Literal(str):
    """A value that TOML has and JSON has not, or not so."""


def ways(value: Any, where: Way = ()) -> Iterator[Way]:
    """The way to every value that is no table and no array."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from ways(inner, (*where, key))
    else:
        yield where


LEAVES = list(ways(tomllib.loads(TUTORIAL)))
NO_NUMBERS = ("name", "description", "dataset", "split", "multivariate", "group")
NUMBERS = [where for where in LEAVES if where[-1] not in NO_NUMBERS]
ENQUEUED = [where for where in LEAVES if where[0] == "enqueue"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def toml(value: Any) -> str:
    """A value as TOML has it, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, Literal):
        return value
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'
    return json.dumps(value)


def changed(where: Way, value: Any = None, key: str | int | None = None) -> str:
    """The tutorial's study with another value somewhere, or under another key beside it.

    Without a value what is there is left out.
    """
    content: Any = tomllib.loads(TUTORIAL)
    inner = content
    for step in where[:-1]:
        inner = inner[step]
    if value is None:
        del inner[where[-1]]
    else:
        inner[where[-1] if key is None else key] = value
    return "\n".join(f"{name} = {toml(part)}" for name, part in content.items())


def test_the_changes_start_from_a_study_that_is_accepted() -> None:
    assert read(changed(("study", "trials"), 50)).space_hash == read(TUTORIAL).space_hash


OTHERS = st.sampled_from([{}, {"a": 1}, [], [[]], Literal("1979-05-27")])
NO_NUMBER = st.sampled_from([Literal(number) for number in ("nan", "inf", "-inf", "1e999")])
CHANGED = st.one_of(
    st.builds(changed, st.sampled_from(LEAVES), OTHERS),
    st.builds(changed, st.sampled_from(NUMBERS), TEXTS | st.booleans()),
    st.builds(
        lambda where, sign, digits: changed(where, Literal(sign + "9" * digits)),
        st.sampled_from(NUMBERS),
        st.sampled_from("+-"),
        st.integers(20, 6000),
    ),
    st.builds(changed, st.sampled_from(NUMBERS), NO_NUMBER),
    st.builds(
        lambda where, key: changed(where, 1, f"x{key}"),
        st.sampled_from([where for where in LEAVES if isinstance(where[-1], str)]),
        TEXTS,
    ),
    st.builds(lambda where: changed(where[:3]), st.sampled_from(ENQUEUED)),
    st.builds(
        lambda at, byte: TUTORIAL.encode()[:at] + byte + TUTORIAL.encode()[at:],
        st.integers(0, len(TUTORIAL)),
        st.sampled_from([b"\0", b"\xff", b"\x1b"]),
    ),
)


@given(CHANGED)
def test_no_change_for_the_worse_gets_past_the_checks(content: str | bytes) -> None:
    message = refusal(content)
    assert "given.toml" in message
    assert len(message) < 3000, "what was given is not repeated whole"


@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(TOML_CHARACTERS, max_size=60),
        st.integers(0, len(TUTORIAL)).map(lambda cut: TUTORIAL[:cut]),
    )
)
def test_any_file_is_a_study_or_is_refused_in_one_line(content: str | bytes) -> None:
    try:
        assert isinstance(read(content), StudySpec)
    except InputError as error:
        one_line(str(error))


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
def test_a_file_that_is_deep_or_large_is_refused_at_once(text: str) -> None:
    assert len(refusal(text)) < 3000
