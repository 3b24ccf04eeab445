"""The study file: what it may hold, and what people are told when it does not."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec.config import DatasetName, SplitName
from search.errors import InputError
from search.sections import DataSection
from search.spec import StudySpec, differences, load_spec, override

STUDIES = Path(__file__).parents[3] / "studies"


def read(text: str | bytes) -> StudySpec:
    """The study whose file ``given.toml`` holds the text."""
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
    """The text of an enqueued configuration."""
    return (
        f"[[enqueue]]\nname = {name}\nlayer_sizes = {layers}\n"
        f"embedding_dimension = {embedding}\nlearning_rate = {rate}\n"
    )


# --- what a good file means -------------------------------------------------------------------


def test_an_empty_file_is_a_study_of_defaults() -> None:
    spec = read("")
    assert (spec.name, spec.study.trials, spec.study.seed) == ("given", 50, 0)
    assert (spec.training.epochs, spec.training.validate_every) == (30, 5)
    assert (spec.sampler.name, spec.pruner.name) == ("tpe", "median")
    assert spec.enqueue == ()


def test_the_tutorial_study_searches_the_tutorials_space_from_its_three_models() -> None:
    spec = load_spec("tutorial", folders=[STUDIES])
    assert spec.space == read("").space
    assert (spec.study.trials, spec.training.epochs) == (50, 30)
    assert [entry.layer_sizes for entry in spec.enqueue] == [(32,), (64, 32), (128, 64, 32)]
    assert {(entry.embedding_dimension, entry.learning_rate) for entry in spec.enqueue} == {
        (32, 0.05)
    }


def test_the_ranking_study_ranks_in_the_tutorials_four_parameters_and_what_pays() -> None:
    spec = load_spec("ranking", folders=[STUDIES])
    assert (spec.training.loss, spec.training.optimizer) == ("softmax", "adam")
    assert set(spec.space.ranking) == {"temperature", "dropout", "l2", "rating_power"}
    assert spec.space.open_dimensions == ["temperature", "dropout", "l2", "rating_power"]


@pytest.mark.parametrize("name", ["tutorial", "ranking"])
def test_a_study_of_ours_opens_with_command_cost_and_result(name: str) -> None:
    opening = load_spec(name, folders=[STUDIES]).text.split("\n\n")[0]
    assert all(line.startswith("#") for line in opening.splitlines())
    assert f"python -m search.run --study {name}" in opening
    assert "COST" in opening
    assert "RESULT" in opening


def test_the_text_is_kept_as_it_was_read() -> None:
    assert read("# grüße\n").text == "# grüße\n"


def test_a_byte_order_mark_and_windows_lines_are_read() -> None:
    assert read(b"\xef\xbb\xbf[study]\r\ntrials = 7\r\n").study.trials == 7


def test_the_name_is_the_stem_unless_the_file_says_otherwise() -> None:
    assert read("[study]\nname = 'other'").name == "other"


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read("").study.trials = 3


def test_hyphens_in_the_names_of_pruners_are_underscores() -> None:
    assert read("[pruner]\nname = 'successive-halving'").pruner.name == "successive_halving"


def test_a_range_of_one_value_fixes_it() -> None:
    space = read("[space]\nwidth = { low = 64, high = 64 }").space
    assert space.width.values == (64,)


def test_the_ends_of_a_range_of_powers_need_not_be_powers() -> None:
    space = read("[space]\nwidth = { low = 20, high = 200 }").space
    assert space.width.values == (32, 64, 128)


def test_the_names_of_data_are_those_of_the_recommender() -> None:
    # Spelled twice because the study file is checked before deeprec is imported.
    fields = DataSection.model_fields
    assert get_args(fields["dataset"].annotation) == get_args(DatasetName)
    assert get_args(fields["split"].annotation) == get_args(SplitName)


def test_reading_a_study_imports_nothing_slow() -> None:
    code = (
        "import sys, search.spec; "
        "slow = {'deeprec', 'optuna', 'keras', 'jax', 'mlflow', 'tensorflow'} & set(sys.modules); "
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=STUDIES.parent)


# --- finding a study --------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tutorial.toml").write_text("[study]\ntrials = 3")
    (tmp_path / "ranking.toml").write_text("")
    return tmp_path


def test_the_first_folder_wins(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "tutorial.toml").write_text("[study]\ntrials = 4")
    assert load_spec("tutorial", folders=[mine, folder]).study.trials == 4
    assert load_spec("tutorial", folders=[tmp_path / "absent", folder]).study.trials == 3


@pytest.mark.parametrize(
    "study",
    ["tutorail", "tutorail.toml", "../tutorial", "a/b.toml", "", "x" * 5000, "a\0.toml", "a\nb"],
)
def test_an_unknown_study_is_answered_with_the_known_ones(folder: Path, study: str) -> None:
    with pytest.raises(InputError, match="one of ranking, tutorial in ") as caught:
        load_spec(study, folders=[folder])
    one_line(str(caught.value))


def test_a_close_match_is_suggested(folder: Path) -> None:
    with pytest.raises(InputError, match=r"unknown study 'tutorail'.*did you mean 'tutorial'\?"):
        load_spec("tutorail", folders=[folder])


def test_no_studies_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is none"):
        load_spec("tutorial", folders=[tmp_path])


def test_a_folder_is_not_a_study(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match=r"folder\.toml cannot be read: Is a directory"):
        load_spec("folder", folders=[tmp_path])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_unreadable(folder: Path) -> None:
    (folder / "tutorial.toml").chmod(0)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        load_spec("tutorial", folders=[folder])


def test_a_file_whose_name_is_no_study_name_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "my study.toml"
    path.write_text("")
    with pytest.raises(InputError, match=r"study\.name must be 1 to 64 letters.*'my study'"):
        load_spec(str(path), folders=[])
    path.write_text("[study]\nname = 'my-study'")
    assert load_spec(str(path), folders=[]).name == "my-study"


# --- bad files: one line that names the key, what it must be and what it was ------------------

SOFTMAX = "[training]\nloss = 'softmax'\n"

BAD_FILES = {
    "not UTF-8": (b"[study]\nname = '\xff'", ["must be UTF-8", "line 2", "0xff"]),
    "no value": ("[study]\ntrials =", ["not valid TOML at line 2, column 9: Invalid value"]),
    "unfinished text": ("a = '''b", ["not valid TOML at line 1, column 9"]),
    "key twice": ("a = 1\na = 2", ["line 2", "Cannot overwrite a value"]),
    "deep nesting": ("a = " + "[" * 5000, ["nested too deeply"]),
    "endless number": ("a = " + "1" * 5000, ["not valid TOML"]),
    "unknown section": ("[spaec]", ["unknown key spaec", "study, data, training", "'space'"]),
    "unknown key": (
        "[study]\ntrails = 5",
        ["unknown key study.trails", "name, description, trials, seed", "did you mean 'trials'?"],
    ),
    "unknown key deep down": (
        "[space]\ndepth = { low = 1, hihg = 2, high = 3 }",
        ["unknown key space.depth.hihg: the keys of space.depth are low, high", "'high'"],
    ),
    "unknown key of an entry": (
        entry() + "color = 1",
        ["unknown key enqueue[0].color: the keys of enqueue[0] are name, layer_sizes"],
    ),
    "key that is no word": ('"a\\nb" = 1', [r"unknown key 'a\nb'"]),
    "a section that is a value": ("space = 3", ["space must be a table but got 3"]),
    "an array of sections": ("[[study]]", ["study must be a table"]),
    "a section that is an array": ("[enqueue]\nname = 'a'", ["enqueue must be an array but got a"]),
    "text for a number": ("[study]\ntrials = '5'", ["study.trials must be an integer but got '5'"]),
    "truth for a number": ("[study]\nseed = true", ["study.seed must be an integer but got true"]),
    "fraction for an integer": ("[study]\ntrials = 5.0", ["must be an integer but got 5.0"]),
    "truth for a fraction": (
        "[space]\nlearning_rate = { low = true, high = 1 }",
        ["space.learning_rate.low must be a number but got true"],
    ),
    "a date": ("[training]\nepochs = 1979-05-27", ["must be an integer but got '1979-05-27'"]),
    "number for text": ("[study]\ndescription = 1", ["study.description must be text but got 1"]),
    "no trials": ("[study]\ntrials = 0", ["study.trials must be at least 1 but got 0"]),
    "too many trials": ("[study]\ntrials = 100001", ["must be at most 100000 but got 100001"]),
    "negative seed": ("[study]\nseed = -1", ["study.seed must be at least 0 but got -1"]),
    "no failures": ("[study]\nmax_failures_in_a_row = 0", ["must be at least 1 but got 0"]),
    "unsafe name": ("[study]\nname = '../x'", ["study.name must be 1 to 64", "got '../x'"]),
    "unknown split": ("[data]\nsplit = 'time'", ["'random' or 'temporal' but got 'time'"]),
    "unknown data": (
        "[data]\ndataset = 'x'",
        ["data.dataset must be 'movielens/100k', 'movielens/1m',", "'movielens/25m' but got 'x'"],
    ),
    "no epochs": ("[training]\nepochs = 0", ["training.epochs must be at least 1 but got 0"]),
    "too many epochs": ("[training]\nepochs = 10001", ["must be at most 10000"]),
    "validation after the end": (
        "[training]\nepochs = 4\nvalidate_every = 5",
        ["training must have validate_every at most epochs (4) but got 5"],
    ),
    "empty batch": ("[training]\nbatch_size = 0", ["training.batch_size must be at least 1"]),
    "half a range": ("[space]\ndepth = { low = 1 }", ["space.depth.high is missing"]),
    "reversed range": (
        "[space]\ndepth = { low = 4, high = 1 }",
        ["space.depth must have low at most high but got low = 4 and high = 1"],
    ),
    "reversed rates": (
        "[space]\nlearning_rate = { low = 1.0, high = 0.1 }",
        ["space.learning_rate must have low at most high"],
    ),
    "no layer": ("[space]\ndepth = { low = 0, high = 1 }", ["space.depth.low must be at least 1"]),
    "too deep": ("[space]\ndepth = { low = 1, high = 9 }", ["space.depth.high must be at most 8"]),
    "too wide": ("[space]\nwidth = { low = 1, high = 8192 }", ["width.high must be at most 4096"]),
    "large embedding": (
        "[space]\nembedding_dimension = { low = 1, high = 2048 }",
        ["space.embedding_dimension.high must be at most 1024"],
    ),
    "no power of two": (
        "[space]\nwidth = { low = 33, high = 60 }",
        ["space.width must contain a power of two", "low = 33", "high = 60", "32 and 64"],
    ),
    "rate of zero": (
        "[space]\nlearning_rate = { low = 0, high = 1 }",
        ["space.learning_rate.low must be greater than 0.0 but got 0"],
    ),
    "rate that is not finite": (
        "[space]\nlearning_rate = { low = nan, high = inf }",
        ["low must be finite but got nan", "high must be finite but got inf"],
    ),
    "rate out of reason": (
        "[space]\nlearning_rate = { low = 1, high = 101 }",
        ["space.learning_rate.high must be at most 100"],
    ),
    "unknown sampler": (
        "[sampler]\nname = 'cma-es'",
        ["sampler.name must be one of cmaes, grid, nsgaii, random, tpe", "mean 'cmaes'?"],
    ),
    "sampler without a name": ("[sampler]\nstartup_trials = 3", ["sampler.name is missing"]),
    "sampler that is no text": ("[sampler]\nname = 3", ["sampler.name must be one of cmaes"]),
    "option of another sampler": (
        "[sampler]\nname = 'random'\nstartup_trials = 3",
        ["unknown key sampler.startup_trials: the keys of sampler are name"],
    ),
    "group alone": (
        "[sampler]\nname = 'tpe'\ngroup = true",
        ["sampler must have multivariate = true where group = true"],
    ),
    "population of one": (
        "[sampler]\nname = 'nsgaii'\npopulation_size = 1",
        ["sampler.population_size must be at least 2 but got 1"],
    ),
    "grid without end": (
        "[sampler]\nname = 'grid'\nlearning_rates = 500",
        ["at most 100000 configurations", "500 architectures x 500"],
    ),
    "unknown pruner": (
        "[pruner]\nname = 'medain'",
        ["pruner.name must be one of hyperband, median, none, patient, percentile", "'median'?"],
    ),
    "option of another pruner": (
        "[pruner]\nname = 'none'\nwarmup_epochs = 3",
        ["unknown key pruner.warmup_epochs: the keys of pruner are name"],
    ),
    "percentile out of range": (
        "[pruner]\nname = 'percentile'\npercentile = 100",
        ["pruner.percentile must be less than 100.0 but got 100"],
    ),
    "warm-up without end": (
        "[pruner]\nname = 'median'\nwarmup_epochs = 30",
        ["pruner 'median' leaves nothing to prune", "after epoch 30", "after epoch 25"],
    ),
    "warm-up past the last decision": (
        "[pruner]\nname = 'percentile'\nwarmup_epochs = 26",
        ["pruner 'percentile' leaves nothing to prune"],
    ),
    "patience without end": (
        "[pruner]\nname = 'patient'\npatience = 4",
        ["pruner 'patient' leaves nothing to prune", "after epoch 30"],
    ),
    "rung past the end": (
        "[pruner]\nname = 'hyperband'\nmin_epochs = 30",
        ["pruner 'hyperband' leaves nothing to prune"],
    ),
    "nothing to prune at all": (
        "[training]\nepochs = 5",
        ["leaves nothing to prune", "missing (epochs is 5)", "'none'"],
    ),
    "enqueued without layers": (entry(layers="[]"), ["enqueue[0].layer_sizes must have 1 to 4"]),
    "enqueued with text": (
        entry(layers="[64, '32']"),
        ["enqueue[0].layer_sizes[1] must be an integer but got '32'"],
    ),
    "enqueued too deep": (
        entry(layers="[64, 64, 64, 64, 64]"),
        ["enqueue[0].layer_sizes must have 1 to 4 widths (the depth of the space)"],
    ),
    "enqueued that widens": (
        entry(layers="[32, 64]"),
        ["enqueue[0].layer_sizes must not widen toward the output but got [32, 64]"],
    ),
    "enqueued out of range": (
        entry(layers="[512, 32]"),
        ["enqueue[0].layer_sizes must be among 16, 32, 64, 128, 256", "got [512, 32]"],
    ),
    "enqueued that is no power": (entry(layers="[48]"), ["among 16, 32, 64", "got [48]"]),
    "enqueued embedding": (
        entry(embedding="48"),
        ["enqueue[0].embedding_dimension must be one of 16, 32, 64, 128", "got 48"],
    ),
    "enqueued rate": (
        entry(rate="2.0"),
        ["enqueue[0].learning_rate must lie in 0.005 to 1.0", "got 2.0"],
    ),
    "enqueued without a name": (entry(name="''"), ["name must have at least 1 characters"]),
    "enqueued name on two lines": (entry(name='"a\\nb"'), ["enqueue[0].name must be printable"]),
    "enqueued name twice": (
        entry() + entry(layers="[32]"),
        ["enqueue[1].name must be unique but 'a' is enqueue[0]"],
    ),
    "enqueued twice": (
        entry(name="'a'") + entry(name="'b'"),
        ["enqueue[1] must differ from the others but repeats enqueue[0]"],
    ),
    "unknown loss": (
        "[training]\nloss = 'sofmax'",
        ["training.loss must be 'rating', 'softmax' or 'in_batch_softmax' but got 'sofmax'"],
    ),
    "unknown optimizer": (
        "[training]\noptimizer = 'sgd'",
        ["training.optimizer must be 'adagrad' or 'adam' but got 'sgd'"],
    ),
    "temperature of the rating loss": (
        "[space]\ntemperature = { low = 0.1, high = 1.0 }",
        ["space.temperature must be left out where training.loss is 'rating'"],
    ),
    "dropout of everything": (
        SOFTMAX + "[space]\ndropout = { low = 0.0, high = 1.0 }",
        ["space.dropout.high must be at most 0.99 but got 1.0"],
    ),
    "no penalty on a logarithmic scale": (
        SOFTMAX + "[space]\nl2 = { low = 0, high = 0.1 }",
        ["space.l2.low must be greater than 0"],
    ),
    "one choice twice": (
        "[space]\nnormalize = [true, true]",
        ["space.normalize must name each choice once but got [True, True]"],
    ),
    "no choice": ("[space]\nnormalize = []", ["space.normalize must have at least 1 entries"]),
    "grid of temperatures": (
        SOFTMAX + "[space]\ntemperature = { low = 0.1, high = 1.0 }\n[sampler]\nname = 'grid'",
        ["sampler 'grid' tries architectures and learning rates, so space.temperature must be one"],
    ),
    "enqueued without its temperature": (
        SOFTMAX + "[space]\ntemperature = { low = 0.1, high = 1.0 }\n" + entry(),
        ["enqueue[0].temperature must lie in 0.1 to 1.0 (the space) but got nothing"],
    ),
    "enqueued with what is not searched": (
        entry() + "\ndropout = 0.5\nnormalize = true",
        [
            "enqueue[0].normalize must be nothing (the space) but got true",
            "enqueue[0].dropout must be left out (not in the space) but got 0.5",
        ],
    ),
}


@pytest.mark.parametrize(("text", "parts"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_in_one_line(text: str | bytes, parts: list[str]) -> None:
    message = refusal(text)
    assert "given.toml" in message
    missing = [part for part in parts if part not in message]
    assert not missing, f"{missing} must be in {message!r}"


def test_everything_wrong_is_named_at_once() -> None:
    message = refusal("[study]\ntrials = 0\nsede = 1\n[training]\nepochs = 'x'\n[smapler]")
    assert len(message.split("; ")) == 4
    for key in ("study.trials", "study.sede", "training.epochs", "smapler"):
        assert key in message


def test_a_misspelled_key_does_not_count_as_given() -> None:
    message = refusal("[space]\ndepth = { low = 1, hihg = 2 }")
    assert "space.depth.high is missing" in message
    assert "unknown key space.depth.hihg" in message


TOML_CHARACTERS = "[]{}=\"'\n\r #.,-_0123abdehnpstuy\x00é"


@given(st.one_of(st.binary(max_size=60), st.text(TOML_CHARACTERS, max_size=60)))
def test_no_file_gets_past_the_checks(content: str | bytes) -> None:
    try:
        spec = read(content)
    except InputError as error:
        one_line(str(error))
    else:
        assert isinstance(spec, StudySpec)


# --- the command line's choices ---------------------------------------------------------------


def test_choices_that_are_not_made_keep_the_files() -> None:
    spec = read("[study]\ntrials = 7\n" + entry())
    assert override(spec) == spec


def test_choices_replace_the_files() -> None:
    spec = override(read("# text"), sampler="random", pruner="successive-halving", trials=9, seed=4)
    assert (spec.sampler.name, spec.pruner.name) == ("random", "successive_halving")
    assert (spec.study.trials, spec.study.seed) == (9, 4)
    assert spec.text == "# text"


def test_the_same_sampler_keeps_the_options_and_another_has_its_defaults() -> None:
    spec = read("[sampler]\nname = 'tpe'\nstartup_trials = 3\n[pruner]\nname = 'median'\n"
                "warmup_epochs = 15")  # fmt: skip
    same = override(spec, sampler="tpe", pruner="median")
    assert (same.sampler, same.pruner) == (spec.sampler, spec.pruner)
    other = override(override(spec, sampler="random"), sampler="tpe")
    assert other.sampler == read("").sampler


@pytest.mark.parametrize(
    ("choice", "part"),
    [
        ({"trials": 0}, "--trials must be at least 1 but got 0"),
        ({"trials": -5}, "--trials must be at least 1 but got -5"),
        ({"trials": 100_001}, "--trials must be at most 100000 but got 100001"),
        ({"seed": -1}, "--seed must be at least 0 but got -1"),
        ({"sampler": "foo"}, "--sampler must be one of cmaes, grid, nsgaii, random, tpe but got"),
        ({"pruner": "medain"}, "--pruner must be one of hyperband, median, none"),
        ({"sampler": ""}, "--sampler must be one of"),
    ],
)
def test_bad_choices_are_refused_like_bad_files(choice: dict[str, str], part: str) -> None:
    with pytest.raises(InputError) as caught:
        override(read(""), **choice)  # type: ignore[arg-type]
    assert part in one_line(str(caught.value))


def test_a_chosen_pruner_must_fit_the_training_of_the_file() -> None:
    spec = read("[training]\nepochs = 5\n[pruner]\nname = 'none'")
    with pytest.raises(InputError, match="pruner 'hyperband' leaves nothing to prune"):
        override(spec, pruner="hyperband")


# --- what makes trials comparable -------------------------------------------------------------

COMPARABLE = {
    "space": "[space]\ndepth = { low = 1, high = 5 }",
    "data": "[data]\nsplit = 'temporal'",
    "training": "[training]\nepochs = 40",
    "loss": SOFTMAX,
    "another dimension": "[space]\nnormalize = [true]",
}
BESIDE = {
    "sampler": "[sampler]\nname = 'random'",
    "pruner": "[pruner]\nname = 'none'",
    "budget": "[study]\ntrials = 3\nseed = 9\nname = 'x'\ndescription = 'y'",
    "enqueued": entry(),
    "spelling": "[space]\nlearning_rate = { high = 1, low = 5e-3 } # the default",
}


@pytest.mark.parametrize("text", COMPARABLE.values(), ids=COMPARABLE.keys())
def test_the_hash_depends_on_what_makes_trials_comparable(text: str) -> None:
    assert read(text).space_hash != read("").space_hash


@pytest.mark.parametrize("text", BESIDE.values(), ids=BESIDE.keys())
def test_the_hash_does_not_depend_on_anything_else(text: str) -> None:
    assert read(text).space_hash == read("").space_hash


def test_the_hash_of_the_default_space_stays_what_it_is() -> None:
    # It is stored with every study: a change makes all that exist impossible to resume.
    expected = "f2d2e7435802f924f1b6fba507473af25da3ed40d122947b0100b294d6e41338"
    assert read("").space_hash == expected


def test_differences_are_explained_key_by_key() -> None:
    stored = read("").comparable
    current = read("[space]\ndepth = { low = 1, high = 5 }\n[data]\nsplit = 'temporal'").comparable
    assert differences(stored, current) == [
        "data.split was random, is temporal",
        "space.depth.high was 4, is 5",
    ]
    assert differences(stored, stored) == []


def test_differences_name_what_only_one_of_them_has() -> None:
    assert differences({"space": {"loss": "x"}}, {"space": {}}) == ["space.loss was x, is absent"]
