"""The data of a study: all of its rows, and those that a training may see."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deeprec.data.dataset import (
    Dataset,
    Splits,
    TrainingData,
    default_cache_dir,
    load_dataset,
    split,
)
from deeprec.data.tables import Interactions
from deeprec.errors import DataError
from deeprec.training.programs import use_compilation_cache
from search.config.space import data_config
from search.config.study import StudySpec
from search.records.errors import InputError


@dataclass(frozen=True)
class StudyData:
    """A data set, test rows included, and how a study splits it."""

    dataset: Dataset
    splits: Splits

    @property
    def of_trials(self) -> TrainingData:
        """What a trial may see: training and validation rows."""
        return self.training(self.splits.train, self.splits.validation)

    def training(self, rows: Interactions, validation: Interactions | None = None) -> TrainingData:
        """Rows to train on, and others to validate on, if any."""
        return self.dataset.training(rows, validation)


def load_data(
    spec: StudySpec, data_dir: Path | None, announce: Callable[[str], None] = lambda _line: None
) -> StudyData:
    """Loads the data of a study, or InputError; sets up the cache of compiled programs."""
    config = data_config(spec)
    try:
        dataset = load_dataset(config, data_dir=data_dir, announce=announce)
    except DataError as error:
        raise InputError(str(error)) from error
    # What loads the data is going to compute; a check or a dry run writes nothing.
    try:
        use_compilation_cache(default_cache_dir() / "compiled")
    except OSError as error:
        announce(f"compiled programs are not kept: {error.strerror}: {error.filename}")
    return StudyData(dataset, split(dataset, config))
