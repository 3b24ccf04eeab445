"""What to train on what: frozen configurations, checked when they are made."""

from dataclasses import dataclass
from typing import Literal, get_args

SplitName = Literal["random", "temporal"]
DatasetName = Literal["movielens/100k", "movielens/1m", "movielens/20m", "movielens/25m"]


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive but got {value}")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which interactions, and how they are divided."""

    dataset: DatasetName = "movielens/100k"
    """The data set, named as TensorFlow Datasets names it, without the table."""

    split: SplitName = "random"
    """``random``: the tutorial's shuffle. ``temporal``: by timestamp, the latest rows test."""

    validation_rows: int = 10_000
    """How many rows validate: the last of those that are not test rows."""

    test_rows: int = 20_000
    """How many rows are kept for the one test at the end: the last of all."""

    def __post_init__(self) -> None:
        if self.split not in get_args(SplitName):
            raise ValueError(
                f"split must be one of {', '.join(get_args(SplitName))} but got {self.split!r}"
            )
        _check_positive(validation_rows=self.validation_rows, test_rows=self.test_rows)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture of both towers."""

    layer_sizes: tuple[int, ...] = (32,)
    """Widths of the dense layers, input to output; the last is the dimension of the score."""

    embedding_dimension: int = 32
    """Dimension of the embedding of every feature."""

    retrieval_k: int = 100
    """How many candidates are retrieved for a user."""

    def __post_init__(self) -> None:
        if not self.layer_sizes or min(self.layer_sizes) < 1:
            raise ValueError(f"layer_sizes must be positive widths but got {self.layer_sizes}")
        _check_positive(embedding_dimension=self.embedding_dimension, retrieval_k=self.retrieval_k)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model is trained. The optimizer is Adagrad, as in the tutorial."""

    learning_rate: float = 0.05
    """Learning rate of Adagrad."""

    epochs: int = 30
    """Passes over the training rows."""

    validate_every: int = 5
    """Epochs between two validations; the last epoch is always validated."""

    batch_size: int = 1000
    """Rows of a batch. Batches are the same in every epoch, as in the tutorial."""

    def __post_init__(self) -> None:
        _check_positive(
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            validate_every=self.validate_every,
            batch_size=self.batch_size,
        )

    def validates_after(self, epoch: int) -> bool:
        """Whether the given epoch (from 1) ends with a validation."""
        return epoch % self.validate_every == 0 or epoch == self.epochs
