"""The tutorial's data and configurations, as every row uses them."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from deeprec.config import DataConfig, TrainingConfig
from deeprec.data.dataset import Dataset, Splits, TrainingData, load_dataset, split
from deeprec.data.tables import FeatureTable, Interactions
from search.config.addresses import PROJECT
from search.config.reading import load_spec
from search.config.sections import SpaceSection
from search.config.space import Configuration

SEED = 1


@cache
def tutorial_dataset() -> Dataset:
    """MovieLens 100K from the cache; prepared and fetched the first time."""
    return load_dataset(DataConfig())


def tutorial_splits() -> Splits:
    """70,000 rows to train on, 10,000 to validate on, 20,000 to test on."""
    return split(tutorial_dataset(), DataConfig())


def training_data(*, validation: bool) -> TrainingData:
    """The tutorial's tables, training rows and, if asked for, validation rows."""
    dataset, splits = tutorial_dataset(), tutorial_splits()
    return TrainingData(
        users=dataset.users,
        movies=dataset.movies,
        train=splits.train,
        validation=splits.validation if validation else None,
    )


def pipeline(users: FeatureTable, movies: FeatureTable, rows: Interactions, batch_size: int) -> Any:
    """The rows as a good user feeds them to ``fit``: batched once, kept in memory, prefetched."""
    from deeprec.sources.quiet_tensorflow import import_tensorflow

    tf = import_tensorflow()
    features = {**users.take(rows.user_id), **movies.take(rows.movie_id)}
    slices = tf.data.Dataset.from_tensor_slices((features, rows.rating))
    return slices.batch(batch_size).cache().prefetch(tf.data.AUTOTUNE)


def fixed_configurations(count: int, seed: int = SEED) -> list[Configuration]:
    """Different architectures with a learning rate each, drawn evenly from the tutorial's space."""
    space = tutorial_space()
    rng = np.random.default_rng(seed)
    drawn: dict[tuple[Any, ...], Configuration] = {}
    while len(drawn) < count:
        configuration = _draw(space, rng)
        architecture = (configuration.layer_sizes, configuration.values["embedding_dimension"])
        drawn.setdefault(architecture, configuration)
    return list(drawn.values())


def tutorial_space() -> SpaceSection:
    return load_spec("tutorial", folders=(PROJECT / "studies",)).space


def _draw(space: SpaceSection, rng: np.random.Generator) -> Configuration:
    depth = int(rng.integers(space.depth.low, space.depth.high + 1))
    widths = sorted(rng.choice(space.width.values, size=depth), reverse=True)
    low, high = np.log10([space.learning_rate.low, space.learning_rate.high])
    return Configuration(
        layer_sizes=tuple(int(width) for width in widths),
        values={
            "embedding_dimension": int(rng.choice(space.embedding_dimension.values)),
            # Four digits, so that a study file and its trial hold the same number.
            "learning_rate": float(f"{10 ** rng.uniform(low, high):.4g}"),
        },
    )


def validate_every(epochs: int) -> int:
    """As the tutorial does, where there are epochs enough."""
    return min(TrainingConfig().validate_every, epochs)


def study_file(
    configurations: Sequence[Configuration], *, epochs: int, trials: int | None = None
) -> str:
    """A study of the tutorial's space that prunes nothing.

    Args:
        configurations: tried first, in this order.
        epochs: of every trial.
        trials: how many there are; any more than the configurations are drawn at random.
    """
    space = tutorial_space()
    lines = [
        "[study]",
        f"trials = {trials or len(configurations)}",
        "[training]",
        f"epochs = {epochs}",
        f"validate_every = {validate_every(epochs)}",
        "[space]",
        *(
            f"{name} = {{ low = {getattr(space, name).low}, high = {getattr(space, name).high} }}"
            for name in ("depth", "width", "embedding_dimension", "learning_rate")
        ),
        "[sampler]",
        'name = "random"',
        "[pruner]",
        'name = "none"',
    ]
    for number, configuration in enumerate(configurations):
        lines += [
            "[[enqueue]]",
            f'name = "configuration {number}"',
            f"layer_sizes = {list(configuration.layer_sizes)}",
            *(f"{name} = {value!r}" for name, value in configuration.values.items()),
        ]
    return "\n".join(lines) + "\n"
