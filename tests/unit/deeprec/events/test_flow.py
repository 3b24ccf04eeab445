"""From files to titles: prepared, trained, saved, loaded, and asked with the user's own ids."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deeprec.config import Metric, ModelConfig, TrainingConfig
from deeprec.data.dataset import Dataset, split
from deeprec.errors import RequestError
from deeprec.evaluation.slices import feature_slices
from deeprec.events.loading import load_own
from deeprec.model.retrieval import RetrievalModel
from deeprec.recommender import Recommender
from deeprec.training.device_data import DeviceData
from deeprec.training.forward import weights_of
from deeprec.training.train import train_new
from tests.unit.deeprec.events.shop import EVENTS, USERS_WITH_VECTORS, Shop

METRICS = (Metric.of("ndcg@2"), Metric.of("recall@3"), Metric.of("coverage@2"))
MODEL = ModelConfig(layer_sizes=(8,), embedding_dimension=8)


def load(shop: Shop, **changes: object) -> Dataset:
    return load_own(
        shop.described(**changes),
        shop.folder,
        cache_dir=shop.folder / "cache",
        announce=shop.said.append,
    )


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [
        ("softmax", "adam"),
        ("in_batch_softmax", "adagrad"),
        ("sampled_softmax", "adagrad"),
        ("rating", "adagrad"),
    ],
)
def test_a_log_is_trained_on_and_recommends_by_its_own_ids(
    loss: str, optimizer: str, shop: Shop
) -> None:
    shop.write("users.jsonl", USERS_WITH_VECTORS)
    features = {"region": "category", "age": "number", "taste": "vector"}
    dataset = load(shop, users__table="users.jsonl", users__features=features)
    parts = split(dataset)
    assert [len(parts.train), len(parts.validation), len(parts.test)] == [5, 2, 2]
    config = TrainingConfig(
        loss=loss,
        optimizer=optimizer,  # type: ignore[arg-type]
        learning_rate=0.05,
        epochs=4,
        validate_every=2,
        batch_size=2,
        id_dropout=0.3,
        metrics=METRICS,
    )
    epochs = []
    data = DeviceData(dataset.training(parts.train, parts.validation))
    model, result = train_new(
        MODEL, data, config, on_epoch=lambda epoch, metrics: epochs.append((epoch, metrics))
    )
    names = {"train_loss", "val_loss", "val_ndcg_at_2", "val_recall_at_3", "val_coverage_at_2"}
    assert set(epochs[1][1]) == names
    assert result.best_accuracy == max(each["val_ndcg_at_2"] for _, each in epochs[1::2])

    recommender = Recommender.of(model, dataset, parts.before_test)
    recommender.save(shop.folder / "model")
    loaded = Recommender.load(shop.folder / "model")
    assert [(each.movie_id, each.title) for each in loaded.recommend("ann")] == [("004", "Scarf")]
    assert {each.movie_id for each in loaded.recommend("cat")} == {"001", "003", "004"}
    assert [each.movie_id for each in loaded.liked_by("bob")] == ["002", "003", "001"]
    assert loaded.recommend("bob") == recommender.recommend("bob")
    of_unknown = loaded.recommend(None, 4, region="north", taste=[1, 0])
    assert {each.movie_id for each in of_unknown} == {"001", "002", "003", "004"}
    with pytest.raises(RequestError, match="user must be one of the 4 .*such as ann, bob, cat"):
        loaded.recommend("eve")
    with pytest.raises(RequestError, match="no feature .town.; there are region, age, taste"):
        loaded.recommend(None, town="north")
    with pytest.raises(RequestError, match="user ann is known and has another taste: leave taste"):
        loaded.recommend("ann", taste=[0.5, 0.5])


@pytest.mark.parametrize("history", [0, 2])
def test_without_ids_users_are_what_features_and_histories_say(history: int, shop: Shop) -> None:
    dataset = load(
        shop, users__ids=False, users__features={"region": "category"}, items__ids=bool(history)
    )
    towers = replace(MODEL, history=history)
    model = RetrievalModel.for_tables(dataset.users, dataset.movies, towers, seed=1)
    recommender = Recommender.of(model, dataset, split(dataset).train)
    recommender.save(shop.folder / "model")
    loaded = Recommender.load(shop.folder / "model")
    # ann and cat are of the north, as the unknown user is said to be; ann bought other things
    liked = {"liked": ["002"]} if history else {}
    unknown = loaded.recommend(None, 4, region="north", **liked)
    scores = {each.movie_id: each.score for each in unknown}
    for user, is_alike in (("ann", not history), ("cat", True)):
        own = {each.movie_id: each.score for each in loaded.recommend(user)}
        assert all((scores[item] == pytest.approx(own[item])) == is_alike for item in own), user


def test_what_a_user_has_is_recommended_again_where_people_buy_again(shop: Shop) -> None:
    dataset = load(shop, repeats=True)
    model = RetrievalModel.for_tables(dataset.users, dataset.movies, MODEL, seed=1)
    recommender = Recommender.of(model, dataset, dataset.interactions)
    assert {each.movie_id for each in recommender.recommend("ann")} == {"001", "002", "003", "004"}


def test_slices_are_by_features_of_users_and_of_items(shop: Shop) -> None:
    dataset = load(shop, items__features={"colour": {"kind": "category", "column": "name"}})
    found = {each.name: each for each in feature_slices(dataset, ["region", "colour"])}
    names = {
        dataset.user_ids[row]: name
        for name, each in found.items()
        for row in each.rows.nonzero()[0]
        if each.side == "users"
    }
    assert names[b"ann"] == names[b"cat"] == "region:north"
    assert names[b"dan"] == "region:other", "dan has no training row, so 'west' was not learned"
    hats = found["colour:Hat"]
    assert hats.side == "items"
    assert [dataset.titles[row] for row in hats.rows.nonzero()[0]] == ["Hat"]


def test_id_dropout_trains_the_row_of_unknown_users(shop: Shop) -> None:
    dataset = load(shop)
    parts = split(dataset)
    data = DeviceData(dataset.training(parts.train, parts.validation))
    for loss, optimizer in (
        ("softmax", "adam"),
        ("in_batch_softmax", "adagrad"),
        ("sampled_softmax", "adagrad"),
    ):
        config = TrainingConfig(
            loss=loss,
            optimizer=optimizer,  # type: ignore[arg-type]
            epochs=3,
            validate_every=3,
            batch_size=5,
            metrics=METRICS,
        )
        untouched = weights_of(
            RetrievalModel.for_tables(dataset.users, dataset.movies, MODEL, seed=0)
        ).query[0][1]
        for share, changes in ((0.0, False), (0.5, True)):
            trained, _ = train_new(
                MODEL, data, TrainingConfig(**{**vars(config), "id_dropout": share})
            )
            row = np.asarray(weights_of(trained).query[0][1])
            assert np.array_equal(row, np.asarray(untouched)) != changes, (loss, share)


def test_a_prepared_data_set_is_read_again_without_its_files(shop: Shop, tmp_path: Path) -> None:
    first = load(shop)
    said = len(shop.said)
    again = load(shop)
    assert shop.said[said:] == ["events.csv: from the prepared arrays in the cache"]
    assert again.fingerprint == first.fingerprint
    assert again.titles == first.titles
    assert np.array_equal(again.user_ids, first.user_ids)


def test_labels_are_shown_as_the_log_has_them(shop: Shop) -> None:
    shop.write("events.csv", EVENTS.replace("buy", "4.5").replace("view", "2"))
    dataset = load(shop, label={"column": "event", "range": [1, 5], "relevant": 4})
    model = RetrievalModel.for_tables(dataset.users, dataset.movies, MODEL, seed=0)
    recommender = Recommender.of(model, dataset, split(dataset).before_test)
    assert [each.stars for each in recommender.liked_by("ann")] == [4.5, 4.5]
