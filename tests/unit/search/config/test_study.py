"""The study file: what it may hold. What is said of bad ones: test_bad_study_files."""

import os
import pickle
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from deeprec.config import DatasetName, SplitName
from search.config.addresses import PROJECT
from search.config.reading import load_spec, overridden, override
from search.config.sections import DataSection
from search.config.study import differences
from search.records.errors import InputError
from tests.unit.search.study_files import SOFTMAX, entry, one_line, read, refusal


def test_an_empty_file_is_a_study_of_defaults() -> None:
    spec = read("")
    assert read("pruner.name = 'successive-halving'").pruner.name == "successive_halving"
    assert (spec.name, spec.study.trials, spec.study.seed) == ("given", 50, 0)
    assert (spec.training.epochs, spec.training.validate_every) == (30, 5)
    assert (spec.sampler.name, spec.pruner.name) == ("tpe", "median")
    assert spec.enqueue == ()


def test_our_studies_search_the_tutorials_space_and_what_pays() -> None:
    spec = load_spec("tutorial", folders=[PROJECT / "studies"])
    assert spec.space == read("").space
    assert (spec.study.trials, spec.training.epochs) == (50, 30)
    assert [entry.layer_sizes for entry in spec.enqueue] == [(32,), (64, 32), (128, 64, 32)]
    for each in spec.enqueue:
        assert each.values == {"embedding_dimension": 32, "learning_rate": 0.05}
    spec = load_spec("ranking", folders=[PROJECT / "studies"])
    assert (spec.training.loss, spec.training.optimizer) == ("softmax", "adam")
    assert spec.space.open_dimensions == ["temperature", "dropout", "l2", "rating_power"]


@pytest.mark.parametrize("name", ["tutorial", "ranking", "ranking-temporal", "ranking-tradeoff"])
def test_a_study_of_ours_opens_with_command_cost_and_result(name: str) -> None:
    opening = load_spec(name, folders=[PROJECT / "studies"]).text.split("\n\n")[0]
    assert all(line.startswith("#") for line in opening.splitlines())
    assert f"python -m search.run --study {name}" in opening
    assert "COST" in opening
    assert "RESULT" in opening


def test_a_file_is_kept_as_it_was_read_and_cannot_be_changed() -> None:
    spec = read(b"\xef\xbb\xbf# gr\xc3\xbc\xc3\x9fe\r\n[study]\r\ntrials = 7\r\nname = 'other'\r\n")
    assert spec.text == "# grüße\r\n[study]\r\ntrials = 7\r\nname = 'other'\r\n"
    assert (spec.name, spec.study.trials) == ("other", 7)
    with pytest.raises(ValueError, match="frozen"):
        spec.study.trials = 3


def test_a_worker_is_sent_the_study_as_it_was_read() -> None:
    text = "# text\nspace.normalize = [true]\n" + entry() + "normalize = true"
    spec = override(read(text), seed=5)
    sent = pickle.loads(pickle.dumps(spec))
    assert (sent, sent.text, sent.study.seed) == (spec, spec.text, 5)


@pytest.mark.parametrize(("low", "high", "values"), [(64, 64, (64,)), (20, 200, (32, 64, 128))])
def test_a_range_of_powers_holds_those_within(low: int, high: int, values: tuple[int, ...]) -> None:
    assert read(f"[space]\nwidth = {{ low = {low}, high = {high} }}").space.width.values == values


OWN = """
objective.slices = ["region", "brand"]
training.loss = "softmax"
[data]
interactions = "log.csv"
user = "user"
item = "item"
split.by = "random"
users.features = { region = "category", age = "number" }
items.features = { brand = "category", "of" = "category" }
"""


def test_slices_are_categories_of_one_side() -> None:
    assert read(OWN).objective.slices == ("region", "brand")
    assert "but 'age' is 'number'" in refusal(OWN.replace('"brand"]', '"age"]'))
    assert "but 'region' names two" in refusal(OWN.replace('"of"', "region"))


HISTORY = "space.history = {low = 8, high = 8}\n"


def test_without_ids_something_else_tells_users_and_items_apart() -> None:
    assert read(HISTORY + OWN + "users.ids = false").space.history is not None
    featureless = OWN.replace("users.features", "# ").replace('"region", ', "")
    assert read(HISTORY + featureless + "users.ids = false").data.split_name == "random"
    assert "data.users must have a feature, or" in refusal(featureless + "users.ids = false")
    assert "space.history must be left out" in refusal(HISTORY + OWN + "items.ids = false")
    closed = "space.spectral_dimension = {low = 8, high = 8}\n" + OWN
    assert read(closed).space.spectral_dimension is not None
    assert "form is one of items by their ids" in refusal(closed + "items.ids = false")
    assert "knows users by their ids or histories" in refusal(closed + "users.ids = false")
    assert read(HISTORY + closed + "users.ids = false").space.history is not None
    refused = refusal(OWN.replace('region = "category"', 'region = "id"').replace('"region", ', ""))
    assert "data.users.features.region.kind must be 'category' for a column of ids" in refused


def test_the_names_of_data_are_those_of_the_recommender() -> None:
    # Spelled twice because the study file is checked before deeprec is imported.
    fields = DataSection.model_fields
    assert get_args(fields["dataset"].annotation) == get_args(DatasetName)
    assert get_args(fields["split"].annotation) == get_args(SplitName)


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
    assert ("did you mean 'tutorial'?" in one_line(str(caught.value))) == ("tut" in study)


def test_no_studies_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is none"):
        load_spec("tutorial", folders=[tmp_path])


def test_a_folder_and_a_pipe_are_no_studies(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match=r"folder\.toml cannot be read: Is a directory"):
        load_spec("folder", folders=[tmp_path])
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(InputError, match=r"pipe\.toml must be a file but is not"):
        load_spec("pipe", folders=[tmp_path])


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


def test_a_choice_may_be_a_number_of_numpy() -> None:
    assert override(read(""), trials=np.int64(7)).study.trials == 7  # type: ignore[arg-type]


def test_choices_replace_the_files_and_what_is_not_chosen_stays() -> None:
    spec = read("[study]\ntrials = 7\n[sampler]\nname = 'tpe'\nstartup_trials = 3\n" + entry())
    assert override(spec) == spec
    chosen = override(spec, sampler="random", pruner="successive-halving", trials=9, seed=4)
    assert (chosen.sampler.name, chosen.pruner.name) == ("random", "successive_halving")
    assert (chosen.study.trials, chosen.study.seed, chosen.text) == (9, 4, spec.text)
    assert overridden(chosen) == {"seed": 4, "sampler": "random", "pruner": "successive_halving"}
    assert override(spec, sampler="tpe").sampler == spec.sampler, "the same one keeps its options"
    assert override(chosen, sampler="tpe").sampler == read("").sampler, "another has its defaults"


@pytest.mark.parametrize(
    ("choice", "part"),
    [
        ({"trials": 0}, "--trials must be at least 1 but got 0"),
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


COMPARABLE = [
    *("space.depth = { low = 1, high = 5 }", "space.normalize = [true]", "training.patience = 3"),
    *("data.split = 'temporal'", "training.epochs = 40", SOFTMAX),
]
BESIDE = [
    "[sampler]\nname = 'random'",
    "[pruner]\nname = 'none'",
    "[study]\ntrials = 3\nseed = 9\nname = 'x'\ndescription = 'y'",
    entry(),
    "[space]\nlearning_rate = { high = 1, low = 5e-3 } # the default",
    "[limits]\nparameters = 2_000_000\nmegabytes = 8\nmilliseconds = 2.5",
]


@pytest.mark.parametrize(
    ("text", "is_same"), [(text, False) for text in COMPARABLE] + [(text, True) for text in BESIDE]
)
def test_the_hash_depends_on_what_makes_trials_comparable_alone(text: str, is_same: bool) -> None:
    assert (read(text).space_hash == read("").space_hash) is is_same


def test_the_hash_of_the_default_space_stays_what_it_is() -> None:
    # It is stored with every study: a change makes all that exist impossible to resume.
    expected = "f2d2e7435802f924f1b6fba507473af25da3ed40d122947b0100b294d6e41338"
    assert read("").space_hash == expected


def test_several_objectives_have_directions_and_no_pruner() -> None:
    spec = read("[objective]\nmetrics = ['ndcg@10', 'parameters', 'recall@5']\nalso = ['hit@3']")
    assert [str(metric) for metric in spec.metrics] == ["ndcg@10", "recall@5", "hit@3"]
    assert spec.objectives == ("val_ndcg_at_10", "parameters", "val_recall_at_5")
    assert spec.directions == ("maximize", "minimize", "maximize")
    assert spec.pruner.name == "none"
    assert override(spec, trials=3).pruner.name == "none"
    with pytest.raises(InputError, match="--pruner must be 'none'"):
        override(spec, pruner="median")
    one, alone = read("[objective]\nmetrics = ['ndcg@10']"), read("objective.metric = 'ndcg@10'")
    assert one.space_hash == alone.space_hash
    assert one.pruner.name == "median"
    assert differences(alone.comparable, spec.comparable) == [
        "direction was maximize, is maximize, minimize, maximize",
        "metric was val_ndcg_at_10, is val_ndcg_at_10, parameters, val_recall_at_5",
    ]


def test_differences_are_explained_key_by_key() -> None:
    stored = read("").comparable
    current = read("[space]\ndepth = { low = 1, high = 5 }\n[data]\nsplit = 'temporal'").comparable
    assert differences(stored, current) == [
        "data.split was random, is temporal",
        "space.depth.high was 4, is 5",
    ]
    assert differences(stored, stored) == []
    assert differences({"space": {"loss": "x"}}, {"space": {}}) == ["space.loss was x, is absent"]
