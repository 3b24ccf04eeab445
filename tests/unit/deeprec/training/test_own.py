"""Parts that users bring: towers, losses and metrics trained, measured and refused as ours are."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import numpy.typing as npt
import pytest

from deeprec.config import Metric, ModelConfig, TrainingConfig
from deeprec.data.dataset import TrainingData
from deeprec.data.history import HISTORY, table_for
from deeprec.data.tables import FeatureSchema
from deeprec.errors import DataError
from deeprec.model.own import OwnTower
from deeprec.model.retrieval import RetrievalModel
from deeprec.model.saving import load_tower, save_model, towers_named_in
from deeprec.model.towers import Tower
from deeprec.parts import Part, PartError, trusting
from deeprec.recommender import Recommender
from deeprec.training.device_data import DeviceData
from deeprec.training.lists import Judged, of_users
from deeprec.training.losses import softmax_loss
from deeprec.training.train import train, train_new
from tests import tiny_recommender

HERE = __name__
OURS = ModelConfig(layer_sizes=(8, 4), embedding_dimension=4, retrieval_k=10)
CONFIG = TrainingConfig(
    loss="softmax",
    optimizer="adam",
    learning_rate=0.02,
    epochs=3,
    validate_every=1,
    batch_size=8,
    averaging=0.5,
    l2=1e-4,
    metrics=(Metric("ndcg", 5), Metric("top_accuracy", 10)),
)


def our_towers(
    schema: FeatureSchema, side: str, *, seed: int, layer_sizes: Any, embedding_dimension: int
) -> keras.Model:
    return Tower(schema, layer_sizes, embedding_dimension, seed=seed)


class Moody(keras.layers.Layer):
    """Has everything that is no trained weight: running means, and a seed of its own."""

    def __init__(self, schema: FeatureSchema, side: str, *, heads: int = 2) -> None:
        super().__init__()
        self.id = schema.id_feature.name
        self.embedding = keras.layers.Embedding(schema.id_feature.vocabulary_size, 4 * heads)
        self.norm = keras.layers.BatchNormalization(momentum=0.5)
        self.dropout = keras.layers.Dropout(0.2, seed=1)

    def call(self, features: Mapping[str, Any]) -> Any:
        print("traced")  # noqa: T201
        return self.dropout(self.norm(self.embedding(features[self.id])))


def our_softmax(scores: Any, users: Any, movies: Any, weights: Any) -> Any:
    return softmax_loss(scores, users, movies, weights)


def margin_loss(scores: Any, users: Any, movies: Any, weights: Any, *, margin: float) -> Any:
    own = scores[users, movies]
    return jnp.sum(weights * jnp.maximum(0, margin + scores.mean(1)[users] - own)) / weights.sum()


def price(
    items: npt.NDArray[np.int32],
    hits: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.int64],
    k: int,
    features: Mapping[str, npt.NDArray[Any]],
) -> npt.NDArray[np.float64]:
    assert items.shape == hits.shape == (len(counts), k)
    return (hits * features["price"][items]).sum(axis=1)


def history(data: TrainingData, model: ModelConfig, config: TrainingConfig) -> tuple[Any, Any]:
    epochs: list[dict[str, float]] = []
    built, _ = train_new(
        model, DeviceData(data), config, on_epoch=lambda _, m: epochs.append(dict(m))
    )
    return built, epochs


def own(towers: Any, **values: Any) -> ModelConfig:
    return replace(OURS, towers=f"{HERE}:{towers.__name__}", own=tuple(values.items()))


def test_our_tower_as_a_part_is_trained_as_it_is(training_data: TrainingData) -> None:
    ours, of_ours = history(training_data, replace(OURS, normalize=True), CONFIG)
    theirs, of_theirs = history(training_data, replace(own(our_towers), normalize=True), CONFIG)
    for expected, found in zip(of_ours, of_theirs, strict=True):
        assert found == pytest.approx(expected, rel=1e-4)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_loss_of_ours_as_a_part_is_the_same(training_data: TrainingData) -> None:
    _, ours = history(training_data, OURS, CONFIG)
    _, theirs = history(training_data, OURS, replace(CONFIG, loss=f"{HERE}:our_softmax"))
    assert theirs == ours


def test_a_loss_is_given_the_numbers_that_it_names(training_data: TrainingData) -> None:
    config = replace(CONFIG, loss=f"{HERE}:margin_loss")
    losses = [
        history(training_data, OURS, replace(config, own=(("margin", m), ("other", 1.0))))[1][0]
        for m in (0.5, 2.0)
    ]
    assert losses[0]["train_loss"] < 1 < losses[1]["train_loss"]


def test_state_that_is_not_trained_moves_in_training_and_stays_in_evaluation(
    training_data: TrainingData, capsys: pytest.CaptureFixture[str]
) -> None:
    model, _ = history(training_data, replace(own(Moody, heads=3), normalize=True), CONFIG)
    tower = model.query_model
    assert tower.dimension == 12
    means = next(v for v in tower.non_trainable_variables if "moving_mean" in v.path)
    assert np.abs(np.asarray(means.value)).max() > 0
    rows = training_data.users.take(np.arange(5, dtype=np.int32))
    np.testing.assert_array_equal(tower(rows), tower(rows))
    said = capsys.readouterr()
    assert (said.out, "traced" in said.err) == ("", True)


def test_a_seed_gives_the_same_training(training_data: TrainingData) -> None:
    moody = replace(own(Moody), normalize=True)
    first = history(training_data, moody, CONFIG)[1]  # which asks for none
    assert history(training_data, moody, CONFIG)[1] == first
    assert history(training_data, moody, replace(CONFIG, seed=1))[1] != first


def test_a_file_runs_no_code_that_is_not_trusted(
    training_data: TrainingData, tmp_path: Path
) -> None:
    model = RetrievalModel.for_tables(
        training_data.users, training_data.movies, own(Moody, heads=3), seed=1
    )
    file = tmp_path / "query_model.keras"
    save_model(model.query_model, file)
    name = f"{HERE}:Moody"
    assert towers_named_in(file) == name
    with pytest.raises(DataError, match=f"towers '{name}' is code, which is run only where"):
        load_tower(file, "query")
    with pytest.raises(DataError, match="must hold a tower of the candidate side"):
        load_tower(file, "candidate", trusted=[name])
    loaded = load_tower(file, "query", trusted=[name])
    rows = training_data.users.take(np.arange(5, dtype=np.int32))
    np.testing.assert_array_equal(loaded(rows), model.query_model(rows))


def test_a_metric_is_given_lists_and_features() -> None:
    judged = Judged(
        items=np.array([[3, 1, 2], [2, 3, 0]], np.int32),
        hits=np.array([[True, False, True], [False, True, False]]),
        counts=np.array([2, 1]),
        features={"price": np.array([0, 1.0, 2.0, 5.0])},
    )
    assert of_users(Metric.of(f"{HERE}:price@2"), judged).totals.tolist() == [5.0, 5.0]
    assert of_users(Metric.of(f"{HERE}:price@3"), judged).mean == 6.0
    assert Metric.of(f"{HERE}:price@3").key == "price_at_3"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Writes a module of a user's and names what it holds."""

    def write(text: str) -> str:
        (tmp_path / "users_code.py").write_text(text, encoding="utf-8")
        return "users_code:part"

    monkeypatch.syspath_prepend(tmp_path)
    yield write
    sys.modules.pop("users_code", None)


BAD_TOWERS = [
    ("import nowhere", "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
    ("def other(): ...", "cannot be imported: AttributeError"),
    ("part = 3", "must be callable but is a int"),
    ("def part(schema): ...", "must take schema, side but takes 1"),
    ("def part(schema, side): return 3", "must return a Keras layer or model but returned a int"),
    ("def part(schema, side): 1 / 0", "query side but raised ZeroDivisionError: division by zero"),
    (
        "def part(schema, side, heads): ...",
        "raised TypeError: part() missing 1 required positional argument: 'heads'",
    ),
    (
        "import keras\n"
        "class part(keras.layers.Layer):\n"
        "    def __init__(self, schema, side): super().__init__()\n"
        "    def call(self, features): return keras.ops.zeros((3, 2, 4))",
        "must return [batch, dimension] for the query side but returned [3, 2, 4]",
    ),
    (
        "import keras\n"
        "class part(keras.layers.Layer):\n"
        "    def __init__(self, schema, side):\n"
        "        super().__init__()\n"
        "        self.id, width = schema.id_feature, 4 if side == 'query' else 5\n"
        "        self.table = keras.layers.Embedding(self.id.vocabulary_size, width)\n"
        "    def call(self, features): return self.table(features[self.id.name])",
        "must have one dimension on both sides but has 4 (query) and 5 (candidate)",
    ),
]


@pytest.mark.parametrize(("text", "says"), BAD_TOWERS)
def test_towers_that_cannot_be_used_say_why_in_a_line(
    module: Any, training_data: TrainingData, text: str, says: str
) -> None:
    config = replace(OURS, towers=module(text))
    with pytest.raises(PartError) as error:
        RetrievalModel.for_tables(training_data.users, training_data.movies, config)
    assert says in str(error.value)
    assert str(error.value).startswith("towers 'users_code:part' ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def part(items, hits, counts, k): return 0.5", "must return [users] = [2] but returned"),
        ("def part(items, hits, counts, k): return counts / 0", "must return finite numbers"),
        ("def part(items, hits, counts, k): 1 / 0", "raised ZeroDivisionError"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_metrics_that_cannot_be_used_say_why(module: Any, text: str, says: str) -> None:
    judged = Judged(np.ones((2, 3), np.int32), np.ones((2, 3), bool), np.array([2, 1]), {})
    with pytest.raises(PartError, match="^metric 'users_code:part' ") as error:
        of_users(Metric(module(text), 3), judged)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "name", ["", "a.b", "a:b:c", "a: b", "os.path:", ":x", "../a:b", "a:b()", "notanentrypoint"]
)
def test_a_name_that_names_nothing_is_refused(name: str) -> None:
    with pytest.raises(PartError, match="must be module:attribute.* deeprec.losses but got"):
        _ = Part("loss", name).place
    with pytest.raises(ValueError, match="loss must be 'rating', .*, module:attribute or an entry"):
        TrainingConfig(loss=name)


def test_an_installed_package_gives_short_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "shop_parts-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-parts\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[deeprec.losses]\nshop = shop_parts.losses:Pair\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert Part("loss", "shop").place == "shop_parts.losses:Pair"
    with pytest.raises(PartError, match="entry point of the group deeprec.towers"):
        _ = Part("towers", "shop").place


def test_what_a_part_asks_for_by_name_is_known() -> None:
    assert Part("loss", f"{HERE}:margin_loss").asked_for == {"margin": True}
    assert Part("towers", f"{HERE}:Moody").asked_for == {"heads": False}
    assert Part("metric", f"{HERE}:price").asked_for == {"features": True}


def test_trust_ends_with_its_block(training_data: TrainingData) -> None:
    tower = OwnTower(
        training_data.users.schema,
        "query",
        f"{HERE}:Moody",
        layer_sizes=(4,),
        embedding_dimension=4,
        own={},
    )
    with trusting([f"{HERE}:Moody"]):
        OwnTower.from_config(tower.get_config())
    with pytest.raises(PartError, match="trusted by name"):
        OwnTower.from_config(tower.get_config())


def test_programs_of_one_architecture_are_compiled_once(training_data: TrainingData) -> None:
    from deeprec.training import programs

    history(training_data, own(our_towers), CONFIG)
    before = len(programs._programs)
    history(training_data, own(our_towers), replace(CONFIG, seed=5))
    assert len(programs._programs) == before


def test_a_diverging_part_is_noticed(training_data: TrainingData) -> None:
    model = RetrievalModel.for_tables(training_data.users, training_data.movies, OURS, seed=1)
    config = replace(CONFIG, loss=f"{HERE}:explode")
    with pytest.raises(ArithmeticError, match="more than 100 times that of scoring everything 0"):
        train(model, DeviceData(training_data), config)


def explode(scores: jax.Array, users: Any, movies: Any, weights: Any) -> Any:
    return 1 + 1e6 * jnp.square(scores).sum()


def test_what_fails_at_the_third_epoch_fails_there(
    module: Any, training_data: TrainingData
) -> None:
    name = module(
        "calls = []\n"
        "def part(items, hits, counts, k):\n"
        "    calls.append(k)\n"
        "    if len(calls) > 2: raise RuntimeError('three')\n"
        "    return counts / 10"
    )
    epochs: list[int] = []
    config = replace(CONFIG, metrics=(Metric(name, 5),), epochs=5)
    with pytest.raises(PartError, match="must judge lists but raised RuntimeError: three"):
        train_new(
            OURS, DeviceData(training_data), config, on_epoch=lambda epoch, _: epochs.append(epoch)
        )
    assert epochs == [1, 2]


@pytest.mark.parametrize("rank", [0, 2])
def test_the_cross_tower_learns(training_data: TrainingData, rank: int) -> None:
    config = replace(OURS, towers="cross", own=(("cross_layers", 1), ("cross_rank", rank)))
    model, epochs = history(training_data, config, replace(CONFIG, epochs=15))
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    assert model.query_model.dimension == 4


@pytest.mark.parametrize(("towers", "values"), [("attention", {"heads": 2}), ("sum", {})])
def test_what_comes_along_reads_histories(
    towers: str, values: Mapping[str, int], training_data: TrainingData
) -> None:
    config = replace(OURS, towers=towers, own=tuple(values.items()))
    model, _ = history(training_data, config, replace(CONFIG, epochs=1))
    tower = model.query_model
    users = table_for(tower.schema, training_data.users, training_data.train)
    rows = users.take(np.arange(1, 5, dtype=np.int32))
    nothing = {**rows, HISTORY: np.zeros_like(rows[HISTORY])}
    assert np.abs(np.asarray(tower(rows)) - np.asarray(tower(nothing))).max() > 1e-6


def test_a_recommender_keeps_histories_and_knows_none_of_a_new_user(tmp_path: Path) -> None:
    config = ModelConfig(layer_sizes=(4,), embedding_dimension=3, towers="attention")
    model = RetrievalModel.for_tables(tiny_recommender.USERS, tiny_recommender.MOVIES, config)
    made = Recommender.of(model, tiny_recommender.tiny_dataset(), tiny_recommender.ROWS)
    made.save(tmp_path / "model")
    loaded = Recommender.load(tmp_path / "model")  # what comes along needs no trust
    assert loaded.recommend(2, 3) == made.recommend(2, 3)
    described: dict[str, Any] = {"age": 30, "gender": "F", "occupation": "writer"}
    assert loaded.recommend(None, 3, **described) == made.recommend(None, 3, **described)
