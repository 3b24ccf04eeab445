"""The data of a study: all of it for whoever opens the study, some of it for a trial."""

from collections.abc import Callable
from pathlib import Path

from deeprec.data.dataset import Dataset, Splits, TrainingData, default_cache_dir, load_dataset
from deeprec.errors import DataError
from deeprec.training.compilation import use_compilation_cache
from search.config.space import data_config
from search.config.study import StudySpec
from search.records.errors import InputError


def load_data(
    spec: StudySpec, data_dir: Path | None, announce: Callable[[str], None] = lambda _line: None
) -> Dataset:
    """Loads the data set, test rows included, and sets up the cache of compiled programs.

    Args:
        spec: the study.
        data_dir: where the raw data is; looked for when None.
        announce: told where it comes from.

    Raises:
        InputError: it cannot be had.
    """
    try:
        dataset = load_dataset(data_config(spec), data_dir=data_dir, announce=announce)
    except DataError as error:
        raise InputError(str(error)) from error
    # Whoever asks for the data is going to compute; a check or a dry run writes nothing.
    try:
        use_compilation_cache(default_cache_dir() / "compiled")
    except OSError as error:
        announce(f"compiled programs are not kept: {error.strerror}: {error.filename}")
    return dataset


def training_data(dataset: Dataset, splits: Splits) -> TrainingData:
    """What a trial may see: training and validation rows."""
    return TrainingData(
        users=dataset.users,
        movies=dataset.movies,
        train=splits.train,
        validation=splits.validation,
    )
