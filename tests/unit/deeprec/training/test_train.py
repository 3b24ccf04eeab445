"""train(): the same mathematics as fit, the seam, the best epoch, numbers that are not finite."""

from collections.abc import Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from deeprec.config import LossName, ModelConfig, OptimizerName, TrainingConfig
from deeprec.data.dataset import TrainingData
from deeprec.data.tables import Interactions
from deeprec.errors import DivergedError, NonFiniteError
from deeprec.model.retrieval import RetrievalModel
from deeprec.training import epoch
from deeprec.training.device_data import DeviceData
from deeprec.training.forward import weights_of
from deeprec.training.train import (
    EXPLODED,
    _DivergenceWatch,
    _Trainer,
    train,
    train_new,
    tutorial_metric,
)
from deeprec.training.validation import Evaluation, evaluate_model
from search.records import trials

MODEL = ModelConfig(layer_sizes=(8, 4), embedding_dimension=4, retrieval_k=10)
OBJECTIVE = "val_top_10_accuracy"
Epochs = list[tuple[int, Mapping[str, float]]]


@pytest.fixture
def data(training_data: TrainingData) -> TrainingData:
    return training_data


def joined(data: TrainingData, rows: Interactions) -> dict[str, np.ndarray]:
    return {**data.users.take(rows.user_id), **data.movies.take(rows.movie_id)}


def validated(model: RetrievalModel, data: TrainingData, config: TrainingConfig) -> Evaluation:
    assert data.validation is not None
    rows = data.validation
    return evaluate_model(model, data.users, data.movies, rows, split="val", config=config)


def shares_of(model: RetrievalModel, data: TrainingData, temperature: float) -> np.ndarray:
    """The softmax of every user's scores, as the Keras towers give them."""
    queries = np.asarray(model.query_model(data.users.columns))
    candidates = np.asarray(model.candidate_model(data.movies.columns))
    shares = np.exp(queries @ candidates.T / temperature)
    return shares / shares.sum(axis=1, keepdims=True)


def build(data: TrainingData, seed: int = 1) -> RetrievalModel:
    return RetrievalModel.for_tables(data.users, data.movies, MODEL, seed=seed)


def trained(
    data: TrainingData, config: TrainingConfig, seed: int = 1
) -> tuple[RetrievalModel, Epochs]:
    model, epochs = build(data, seed), Epochs()
    train(model, DeviceData(data), config, on_epoch=lambda *epoch: epochs.append(epoch))
    return model, epochs


@pytest.mark.parametrize(
    "batch_size",
    [
        pytest.param(50, id="whole tables are updated, and the last batch is not full"),
        pytest.param(4, id="only the rows that a batch uses are updated"),
    ],
)
def test_train_is_the_same_mathematics_as_fit(data: TrainingData, batch_size: int) -> None:
    config = TrainingConfig(learning_rate=0.1, epochs=6, validate_every=2, batch_size=batch_size)
    plans = _Trainer(build(data), DeviceData(data), config).plan.towers
    assert [plan.updates_rows for plan in plans] == [batch_size == 4] * 2
    _, epochs = trained(data, config)

    model = build(data)
    model.compile(keras.optimizers.Adagrad(config.learning_rate), loss="mean_squared_error")
    rows, validation = data.train, data.validation
    assert validation is not None
    history = model.fit(
        joined(data, rows),
        rows.rating,
        batch_size=config.batch_size,
        epochs=config.epochs,
        shuffle=False,
        verbose=0,
        validation_data=(joined(data, validation), validation.rating),
        validation_freq=config.validate_every,
    ).history

    losses = [metrics["train_loss"] for _, metrics in epochs]
    np.testing.assert_allclose(losses, history["loss"], rtol=1e-5)
    validated = [metrics for _, metrics in epochs if "val_loss" in metrics]
    np.testing.assert_allclose(
        [metrics["val_loss"] for metrics in validated], history["val_loss"], rtol=1e-5
    )
    np.testing.assert_allclose(
        [metrics[OBJECTIVE] for metrics in validated],
        history["val_top_10_accuracy"],
        atol=1e-6,
    )


def test_the_seam_is_called_after_every_epoch_with_validation_where_due(data: TrainingData) -> None:
    config = TrainingConfig(epochs=5, validate_every=2, batch_size=100)
    _, epochs = trained(data, config)
    assert [epoch for epoch, _ in epochs] == [1, 2, 3, 4, 5]
    assert [epoch for epoch, metrics in epochs if "val_loss" in metrics] == [2, 4, 5]
    assert set(epochs[1][1]) == {"train_loss", "val_loss", OBJECTIVE}
    assert set(epochs[0][1]) == {"train_loss"}


def test_the_model_is_left_with_the_weights_of_its_best_epoch(data: TrainingData) -> None:
    # A learning rate this high overshoots: the best epoch is not the last.
    config = TrainingConfig(learning_rate=1.0, epochs=12, validate_every=1, batch_size=50)
    model, epochs = build(data, seed=3), Epochs()
    result = train(model, DeviceData(data), config, on_epoch=lambda *epoch: epochs.append(epoch))
    accuracies = [metrics[OBJECTIVE] for _, metrics in epochs]

    assert result.best_accuracy == max(accuracies)
    assert result.best_epoch == 1 + int(np.argmax(accuracies)) < config.epochs
    found = validated(model, data, config)
    assert found.value == pytest.approx(result.best_accuracy)


@pytest.mark.parametrize("validate_every", [1, 2])
@pytest.mark.parametrize("patience", [1, 2])
def test_patience_ends_a_training_where_early_stopping_of_keras_does(
    data: TrainingData, patience: int, validate_every: int
) -> None:
    whole = TrainingConfig(
        learning_rate=1.0, epochs=16, validate_every=validate_every, batch_size=50
    )
    _, all_epochs = trained(data, whole, seed=3)
    stopping = keras.callbacks.EarlyStopping(OBJECTIVE, mode="max", patience=patience)
    stopping.set_model(keras.Model())
    stopping.model.stop_training = False
    stopping.on_train_begin()
    for number, metrics in all_epochs:
        if OBJECTIVE in metrics:
            stopping.on_epoch_end(number, dict(metrics))
        if stopping.model.stop_training:
            break
    assert number < whole.epochs, "a case in which nothing stops tests nothing"

    model, epochs = build(data, seed=3), Epochs()
    config = replace(whole, patience=patience)
    result = train(model, DeviceData(data), config, on_epoch=lambda *epoch: epochs.append(epoch))
    assert epochs == all_epochs[:number]
    assert (result.epochs, result.best_epoch) == (number, stopping.best_epoch)
    assert result.best_accuracy == stopping.best
    assert validated(model, data, config).value == pytest.approx(result.best_accuracy)


def test_patience_needs_validations(data: TrainingData) -> None:
    config = TrainingConfig(epochs=4, validate_every=1, patience=1)
    _, epochs = trained(replace(data, validation=None), config)
    assert len(epochs) == 4


def test_ids_are_not_dropped_where_no_row_stands_for_unknown_ones(data: TrainingData) -> None:
    with pytest.raises(ValueError, match="id_dropout must be 0 where the data has no row"):
        trained(data, TrainingConfig(id_dropout=0.1))


def test_where_no_row_stands_for_unknown_users_they_are_known_by_their_histories(
    data: TrainingData,
) -> None:
    config = TrainingConfig(epochs=1, batch_size=8, loss="softmax", l2=1e-3, id_dropout=0.5)
    of_both = ModelConfig(layer_sizes=(4,), embedding_dimension=3, retrieval_k=5, history=6)
    model, _ = train_new(of_both, DeviceData(data), config)
    ids, *_ = model.query_model.trainable_variables
    assert not np.asarray(ids)[0].any(), "row 0 stays that of nothing"
    assert np.asarray(ids)[1:].any(axis=1).all()
    other, _ = train_new(of_both, DeviceData(data), replace(config, id_dropout=0.0))
    assert not np.allclose(ids, other.query_model.trainable_variables[0])


def test_what_a_history_shows_is_no_answer_unless_it_may_be_recommended_again(
    data: TrainingData,
) -> None:
    reads = ModelConfig(layer_sizes=(4,), embedding_dimension=3, retrieval_k=5, history=6)
    config = TrainingConfig(epochs=1, batch_size=8, loss="softmax", history_dropout=0.0)

    def first_loss(repeats: bool) -> float:
        rows, losses = DeviceData(replace(data, repeats=repeats)), Epochs()
        train_new(reads, rows, config, on_epoch=lambda *epoch: losses.append(epoch))
        return losses[0][1]["train_loss"]

    assert first_loss(repeats=False) < first_loss(repeats=True), "fewer candidates are left"


def test_without_validation_rows_the_last_epoch_is_the_best(data: TrainingData) -> None:
    config = TrainingConfig(epochs=3, batch_size=100)
    result = train(build(data), DeviceData(replace(data, validation=None)), config)
    assert (result.best_epoch, result.best_accuracy) == (3, None)


@pytest.mark.skipif(
    jax.default_backend() != "cpu", reason="sums on a GPU depend on the order of its threads"
)
def test_one_seed_gives_the_same_numbers_bit_by_bit(data: TrainingData) -> None:
    config = TrainingConfig(learning_rate=0.1, epochs=4, validate_every=2, batch_size=50)
    assert trained(data, config, seed=9)[1] == trained(data, config, seed=9)[1]
    assert trained(data, config, seed=9)[1] != trained(data, config, seed=8)[1]


def test_what_the_seam_raises_reaches_the_caller(data: TrainingData) -> None:
    def prune(epoch: int, _metrics: Mapping[str, float]) -> None:
        if epoch == 2:
            raise LookupError("pruned")

    with pytest.raises(LookupError, match="pruned"):
        train(build(data), DeviceData(data), TrainingConfig(batch_size=100), on_epoch=prune)


def test_a_loss_that_is_not_finite_names_epoch_and_step(data: TrainingData) -> None:
    ratings = data.train.rating.copy()
    ratings[120] = np.nan  # in the third batch of 50
    damaged = replace(data, train=replace(data.train, rating=ratings))
    with pytest.raises(NonFiniteError, match="train_loss is not finite at epoch 1, step 3"):
        train(build(data), DeviceData(damaged), TrainingConfig(batch_size=50))


def test_a_loss_that_explodes_ends_the_training_in_its_epoch(data: TrainingData) -> None:
    model, epochs = build(data), Epochs()
    before = [np.asarray(weight) for weight in weights_of(model).query]
    config = TrainingConfig(learning_rate=100.0, epochs=9, batch_size=50)
    with pytest.raises(
        DivergedError, match=r"at epoch 1, more than 100 times .* scoring everything"
    ):
        train(model, DeviceData(data), config, on_epoch=lambda *epoch: epochs.append(epoch))
    assert [(epoch, set(metrics)) for epoch, metrics in epochs] == [(1, {"train_loss"})]
    assert all(map(np.array_equal, before, weights_of(model).query))


@pytest.mark.parametrize(
    ("first", "then", "accuracy", "diverged"),
    [
        pytest.param(0.5, 0.6, 0.05, True, id="the loss rises, and the order is that of chance"),
        pytest.param(0.5, 0.4, 0.05, False, id="slow: the loss falls"),
        pytest.param(0.5, 0.6, 0.2, False, id="bad: the loss rises, and something is learned"),
        pytest.param(0.5, 51.0, 0.2, True, id="the loss is a hundred times that of the constant 0"),
        pytest.param(49.0, 49.0, 0.2, False, id="a loss that is high from the start"),
    ],
)
def test_what_diverges_is_distinguished_from_what_is_bad(
    first: float, then: float, accuracy: float, diverged: bool
) -> None:
    watch = _DivergenceWatch(limit=EXPLODED * 0.5, chance=0.06)
    assert watch.look(1, {"train_loss": first}, first) is None
    reason = watch.look(5, {"train_loss": then, "val_top_100_accuracy": accuracy}, first)
    assert (reason is not None) is diverged


@pytest.mark.parametrize("loss", ["rating", "softmax", "in_batch_softmax", "sampled_softmax"])
def test_an_untrained_model_is_far_below_the_limit(data: TrainingData, loss: LossName) -> None:
    model, device_data = build(data), DeviceData(data)
    config = TrainingConfig(loss=loss, l2=0.1, learning_rate=1e-6, epochs=1, batch_size=50)
    epochs = Epochs()
    train(model, device_data, config, on_epoch=lambda *epoch: epochs.append(epoch))
    limit = _DivergenceWatch.of(build(data), device_data, config).limit
    assert epochs[0][1]["train_loss"] < 0.02 * limit


def test_a_score_that_is_not_finite_is_found_before_it_is_ranked(data: TrainingData) -> None:
    model = build(data)
    kernel = model.candidate_model.dense_layers[-1].kernel
    kernel.assign(jnp.full(kernel.shape, jnp.inf))
    with pytest.raises(NonFiniteError, match="val_score is not finite at epoch 7"):
        validated(model, data, TrainingConfig(epochs=7))


def test_the_search_and_the_training_mean_the_same_metric() -> None:
    assert f"val_{tutorial_metric(100).key}" == trials.TUTORIAL_OBJECTIVE


RANKING: tuple[LossName, ...] = ("softmax", "in_batch_softmax", "sampled_softmax")


@pytest.mark.parametrize("loss", RANKING)
@pytest.mark.parametrize("optimizer", ["adagrad", "adam"])
def test_ranking_losses_learn(data: TrainingData, loss: LossName, optimizer: OptimizerName) -> None:
    rate = {"adagrad": 1.0, "adam": 0.03}[optimizer]
    config = TrainingConfig(
        loss=loss, optimizer=optimizer, learning_rate=rate, epochs=60, batch_size=16, negatives=64
    )
    _, epochs = trained(data, config)
    losses = [metrics["train_loss"] for _, metrics in epochs]
    assert losses[-1] < 0.9 * losses[0]


def test_the_first_softmax_loss_is_what_the_keras_towers_give(data: TrainingData) -> None:
    shares, rows = shares_of(build(data), data, 0.5), data.train
    weights = rows.rating.astype(np.float64) ** 2
    surprise = -np.log(shares[rows.user_id, rows.movie_id])
    all_users = data.users.rows  # in one batch, so that the loss is that of the first weights
    config = TrainingConfig(
        loss="softmax", epochs=1, batch_size=all_users, temperature=0.5, rating_power=2.0
    )
    _, epochs = trained(data, config)
    assert epochs[0][1]["train_loss"] == pytest.approx(
        np.average(surprise, weights=weights), rel=1e-5
    )


def test_ranking_validates_by_the_cross_entropy_of_liked_rows(data: TrainingData) -> None:
    config = TrainingConfig(loss="softmax", epochs=1, batch_size=16, temperature=0.5)
    model = build(data)
    train(model, DeviceData(data), config)
    assert data.validation is not None
    liked = data.validation[data.validation.liked]
    expected = -np.log(shares_of(model, data, 0.5)[liked.user_id, liked.movie_id]).mean()
    assert validated(model, data, config).loss == pytest.approx(expected, rel=1e-5)


def test_dropout_depends_on_the_seed_and_on_nothing_else(data: TrainingData) -> None:
    config = TrainingConfig(loss="softmax", epochs=2, batch_size=16, dropout=0.5, seed=3)
    assert trained(data, config)[1] == trained(data, config)[1]
    assert trained(data, config)[1] != trained(data, replace(config, seed=4))[1]


def test_draws_depend_on_the_seed_and_on_nothing_else(data: TrainingData) -> None:
    config = TrainingConfig(loss="sampled_softmax", epochs=2, batch_size=16, negatives=8, seed=3)
    assert trained(data, config)[1] == trained(data, config)[1]
    assert trained(data, config)[1] != trained(data, replace(config, seed=4))[1]


def test_updating_the_rows_that_were_drawn_is_updating_the_table(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainingConfig(
        loss="sampled_softmax", epochs=3, batch_size=4, negatives=8, dropout=0.2, seed=3
    )

    def weights(pays_above: float) -> list[np.ndarray]:
        monkeypatch.setattr(epoch, "ROWS_PAY_ABOVE", pays_above)
        model = build(data)
        plans = _Trainer(model, DeviceData(data), config).plan.towers
        assert [plan.updates_rows for plan in plans] == [pays_above == 0] * 2
        train(model, DeviceData(data), config)
        return [np.asarray(variable.value) for variable in model.trainable_variables]

    for by_rows, whole in zip(weights(0), weights(1e9), strict=True):
        np.testing.assert_allclose(by_rows, whole, atol=1e-5)


def test_a_penalty_makes_weights_smaller(data: TrainingData) -> None:
    config = TrainingConfig(loss="softmax", epochs=5, batch_size=16)

    def size(l2: float) -> float:
        model = build(data)
        train(model, DeviceData(data), replace(config, l2=l2))
        return float(sum(np.square(v.value).sum() for v in model.query_model.trainable_variables))

    assert size(0.1) < size(0.0)


def test_one_program_serves_every_number_of_a_training(data: TrainingData) -> None:
    config = TrainingConfig(loss="softmax", epochs=1, batch_size=16)
    other = replace(config, learning_rate=0.2, temperature=2.0, dropout=0.3, l2=0.01, seed=5)
    first, second = (_Trainer(build(data), DeviceData(data), each) for each in (config, other))
    assert first.program is second.program


def test_averages_are_of_the_weights_after_the_epochs(data: TrainingData) -> None:
    unvalidated = DeviceData(replace(data, validation=None))
    config = TrainingConfig(learning_rate=0.1, epochs=3, batch_size=50)

    def weights(epochs: int, averaging: float) -> list[np.ndarray]:
        model = build(data)
        train(model, unvalidated, replace(config, epochs=epochs, averaging=averaging))
        return [np.asarray(variable.value) for variable in model.trainable_variables]

    single = [weights(epochs, 0.0) for epochs in (1, 2, 3)]
    averaged = weights(3, 0.5)
    for first, second, third, average in zip(*single, averaged, strict=True):
        np.testing.assert_allclose(average, (first + 2 * second + 4 * third) / 7, atol=1e-6)


def test_the_average_is_what_is_validated(data: TrainingData) -> None:
    config = TrainingConfig(learning_rate=0.1, epochs=2, validate_every=2, batch_size=50)
    averaged = replace(config, averaging=0.9)
    model, epochs = trained(data, averaged)
    assert validated(model, data, averaged).loss == pytest.approx(
        epochs[-1][1]["val_loss"], rel=1e-6
    )
    assert epochs[-1][1]["val_loss"] != trained(data, config)[1][-1][1]["val_loss"]
