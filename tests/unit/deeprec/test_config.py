"""Configurations are checked when they are made."""

import pytest

from deeprec.config import DataConfig, ModelConfig, TrainingConfig


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelConfig(layer_sizes=()), "layer_sizes must be positive widths"),
        (lambda: ModelConfig(layer_sizes=(32, 0)), "layer_sizes must be positive widths"),
        (lambda: ModelConfig(embedding_dimension=0), "embedding_dimension must be positive"),
        (lambda: TrainingConfig(learning_rate=float("nan")), "learning_rate must be positive"),
        (lambda: TrainingConfig(epochs=-1), "epochs must be positive but got -1"),
        (lambda: DataConfig(split="halves"), "split must be one of random, temporal"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_value_is_named(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_the_last_epoch_is_always_validated() -> None:
    config = TrainingConfig(epochs=7, validate_every=3)
    assert [epoch for epoch in range(1, 8) if config.validates_after(epoch)] == [3, 6, 7]
