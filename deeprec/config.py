"""What to train on what: frozen configurations, checked when they are made."""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from deeprec.parts import Part, PartError, place_of

SplitName = Literal["random", "temporal"]
DatasetName = Literal["movielens/100k", "movielens/1m", "movielens/20m", "movielens/25m"]
LossName = Literal["rating", "softmax", "in_batch_softmax", "sampled_softmax"]
OptimizerName = Literal["adagrad", "adam"]
UserMetricName = Literal["recall", "hit", "ndcg", "mrr", "map", "precision", "top_accuracy"]
CatalogMetricName = Literal["coverage", "gini", "novelty", "popularity_percentile"]
MetricName = Literal[UserMetricName, CatalogMetricName]
Format = Literal["saved_model", "onnx", "numpy"]
"""What a model is exported as: for TensorFlow, onnxruntime, or NumPy alone."""

INDEX_FROM = 100_000
"""Items from which a served model answers from an index: of fewer, all are scored as fast."""


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive but got {value}")


def _check_choice(name: str, value: str, choices: Any) -> None:
    if value not in get_args(choices):
        raise ValueError(f"{name} must be one of {', '.join(get_args(choices))} but got {value!r}")


def check_loss(name: str) -> None:
    """ValueError unless a loss is one of ours, or names a part."""
    if part := loss_part(name):
        try:
            place_of(part.kind, part.name)
        except PartError as error:
            *ours, last = map(repr, get_args(LossName))
            rule = str(error).removeprefix("must be ")
            raise ValueError(f"must be {', '.join(ours)} or {last}, {rule}") from None


_METRIC = re.compile(r"(?:([\w.:]+))@([1-9][0-9]{0,4})", re.ASCII)


@dataclass(frozen=True, order=True)
class Metric:
    """What a model is judged by: a metric of lists of the best ``k``, written ``ndcg@10``.

    ``top_accuracy`` is the tutorial's: over relevant rows, items that a user has seen ranked too.
    Those of the catalog say what all lists show together, not whether it is wanted, see
    :mod:`deeprec.training.metrics`; all others are means over users, :mod:`deeprec.training.lists`.
    """

    name: MetricName | str  # a part of the kind ``metric`` where it is none of ours
    k: int

    @classmethod
    def of(cls, text: str) -> Self:
        """The metric that a text such as ``ndcg@10`` names.

        Raises:
            ValueError: it names none.
        """
        found = _METRIC.fullmatch(text)
        if found is None or not _is_metric(found[1]):
            names = ", ".join(f"{name}@k" for name in get_args(MetricName))
            raise ValueError(f"must be one of {names} or module:function@k but got {text!r}")
        return cls(found[1], int(found[2]))

    @classmethod
    def objective(cls, text: str) -> Self:
        """The metric that a text names, which can be maximized.

        Raises:
            ValueError: it names none, or one that is only reported.
        """
        metric = cls.of(text)
        if metric.is_of_the_catalog:
            names = [f"{name}@k" for name in get_args(UserMetricName)]
            raise ValueError(
                f"must be one of {', '.join(names)} but got {text!r}, which says nothing of what "
                "users want: name it in also, where it is reported"
            )
        return metric

    @property
    def is_of_the_catalog(self) -> bool:
        """Whether it is of all lists together, and only reported."""
        return self.name in get_args(CatalogMetricName)

    @property
    def part(self) -> Part | None:
        """The code that measures it, where that is a user's."""
        return None if self.name in get_args(MetricName) else Part("metric", self.name)

    @property
    def keeps_seen(self) -> bool:
        """Whether what a user has is ranked, too."""
        return self.name == "top_accuracy"

    @property
    def key(self) -> str:
        """The name in tracking, behind that of the rows: ``val_ndcg_at_10``."""
        if self.name == "top_accuracy":
            return f"top_{self.k}_accuracy"
        return f"{self.name.rpartition(':')[2]}_at_{self.k}"

    def __str__(self) -> str:
        """As a study file has it."""
        return f"{self.name}@{self.k}"


def _is_metric(name: str) -> bool:
    """Whether it is one of ours, or names a part; one that is called as one of ours is none."""
    if name in get_args(MetricName):
        return True
    try:
        place_of("metric", name)
    except PartError:
        return False
    return name.rpartition(":")[2] not in get_args(MetricName)


def loss_part(name: str) -> Part | None:
    """The code of a loss, where it is a user's."""
    return None if name in get_args(LossName) else Part("loss", name)


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
        _check_choice("split", self.split, SplitName)
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

    normalize: bool = False
    """Whether final embeddings have length 1, so that a score is the cosine of two of them."""

    towers: str | None = None
    """The part that makes other towers than ours, see :mod:`deeprec.model.own`."""

    history: int = 0
    """How many of the latest items of a user the query tower reads; 0 is none."""

    spectral_dimension: int = 0
    """How many dimensions of the final embeddings are in closed form, beside those that are
    trained, see :mod:`deeprec.training.spectral`; 0 is none."""

    own: tuple[tuple[str, Any], ...] = ()
    """Further values, by the names by which such towers ask for them."""

    def __post_init__(self) -> None:
        if not self.layer_sizes or min(self.layer_sizes) < 1:
            raise ValueError(f"layer_sizes must be positive widths but got {self.layer_sizes}")
        _check_positive(embedding_dimension=self.embedding_dimension, retrieval_k=self.retrieval_k)
        if self.spectral_dimension < 0:
            raise ValueError(
                f"spectral_dimension must not be negative but got {self.spectral_dimension}"
            )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model is trained. The defaults are the tutorial's: squared errors of ratings, Adagrad.

    Temperature, dropout, the weights by rating and the penalty are those of the ranking losses,
    see :mod:`deeprec.training.losses`; the rating loss has none of them.
    """

    learning_rate: float = 0.05
    """Learning rate of the optimizer."""

    epochs: int = 30
    """Passes over the training rows."""

    validate_every: int = 5
    """Epochs between two validations; the last epoch is always validated."""

    patience: int | None = None
    """After so many validations in a row that are no better than the best before them the training
    ends, as with ``keras.callbacks.EarlyStopping``; None: it has all of its epochs."""

    batch_size: int = 1000
    """Rows of a batch; for the losses ``softmax`` and ``sampled_softmax`` users of a batch.
    Batches are the same in every epoch, as in the tutorial."""

    loss: LossName | str = "rating"
    """``rating``: squared error. ``softmax``: over all candidates. For catalogs too large for that,
    ``sampled_softmax``: an estimate of it, from interactions and candidates that each step draws;
    ``in_batch_softmax``: over the candidates of a batch. Any other is a part, given what
    ``softmax`` is, see :mod:`deeprec.parts`."""

    negatives: int = 2048
    """How many candidates a step of ``sampled_softmax`` draws, and three times as many rows."""

    optimizer: OptimizerName = "adagrad"
    """As Keras has it, with Keras's defaults but for the learning rate."""

    temperature: float = 1.0
    """Scores are divided by it before a softmax."""

    dropout: float = 0.0
    """Share of the final embeddings' elements that a training step leaves out, in ``[0, 1)``."""

    l2: float = 0.0
    """Times the sum of squares of the weights that a step uses: a penalty added to the loss."""

    rating_power: float = 4.0
    """A row weighs ``rating ** rating_power`` in a softmax, with ratings in 0..1: at 4, four stars
    weigh 0.32 of five, three stars 0.06, and one star nothing."""

    half_life: float = math.inf
    """Days after which a row weighs half as much in a softmax, counted back from the newest row:
    what was liked lately says more of what is liked next. Above 0; infinite: all weigh alike."""

    averaging: float = 0.0
    """What is validated and kept is an average of the weights after the epochs, in which each epoch
    weighs this share of the next, in ``[0, 1)``; 0 is the weights of the last epoch alone."""

    seed: int = 0
    """Origin of what training draws at random: which elements, and which ids, are dropped."""

    id_dropout: float = 0.0
    """Share of the users and items of a step that are trained as unknown, in ``[0, 1)``; only of
    users, and where a history is read, where the data has no row for unknown ones."""

    history_dropout: float = 0.5
    """Share of each history that a step leaves out, in ``[0, 1)``, where a tower reads them."""

    spectral_penalty: float = 200.0
    """Above 0; the larger, the more of a closed form is about what is popular."""

    spectral_weight: float = 1.0
    """Above 0; the score in closed form counts so many times, beside that of what is trained."""

    own: tuple[tuple[str, float], ...] = ()
    """Further numbers, by the names by which a loss that is a part asks for them."""

    metrics: tuple[Metric, ...] = ()
    """What is measured on the validation rows; the first decides which epoch is the best. When none
    is named it is ``top_accuracy`` at the model's ``retrieval_k``: the tutorial's."""

    def __post_init__(self) -> None:
        try:
            check_loss(self.loss)
        except ValueError as error:
            raise ValueError(f"loss {error}") from None
        _check_choice("optimizer", self.optimizer, OptimizerName)
        _check_positive(
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            validate_every=self.validate_every,
            batch_size=self.batch_size,
            negatives=self.negatives,
            temperature=self.temperature,
            rating_power=self.rating_power,
            half_life=self.half_life,
            spectral_penalty=self.spectral_penalty,
            spectral_weight=self.spectral_weight,
            patience=1 if self.patience is None else self.patience,
        )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1) but got {self.dropout}")
        for name in ("averaging", "id_dropout", "history_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1) but got {getattr(self, name)}")
        if not self.l2 >= 0:
            raise ValueError(f"l2 must not be negative but got {self.l2}")

    def validates_after(self, epoch: int) -> bool:
        """Whether the given epoch (from 1) ends with a validation."""
        return epoch % self.validate_every == 0 or epoch == self.epochs
