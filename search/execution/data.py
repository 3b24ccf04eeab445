"""The data of a study: all of its rows, and those that a training may see."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from deeprec.data.dataset import (
    Dataset,
    Splits,
    TrainingData,
    default_cache_dir,
    load_dataset,
    split,
)
from deeprec.data.overlap import Overlap
from deeprec.data.tables import Interactions
from deeprec.errors import DataError
from deeprec.evaluation.ranking import MOVIELENS, Judgment
from deeprec.evaluation.slices import feature_slices
from deeprec.events.description import DataDescription
from deeprec.training.programs import use_compilation_cache
from search.config.parts import make_importable
from search.config.space import data_config, list_metrics_of
from search.config.study import StudySpec
from search.records.errors import InputError


@dataclass(frozen=True)
class StudyData:
    """A data set, test rows included, and how a study splits it."""

    dataset: Dataset
    splits: Splits
    judge: Judgment = MOVIELENS  # how models and references are measured

    @property
    def of_trials(self) -> TrainingData:
        """What a trial may see: training and validation rows."""
        return self.training(self.splits.train, self.splits.validation)

    @property
    def overlap(self) -> dict[str, dict[str, int]]:
        """What the split loses, counted; see :data:`search.analysis.splits.Counts`."""
        splits, own = self.splits, self.dataset.own
        return {
            "validation": asdict(Overlap.of(splits.validation, splits.train)),
            "test": asdict(Overlap.of(splits.test, splits.before_test)),
            "left_out": dict(own.left_out) if own else {},
        }

    def training(self, rows: Interactions, validation: Interactions | None = None) -> TrainingData:
        """Rows to train on, and others to validate on, if any."""
        return self.dataset.training(rows, validation)


def load_data(
    spec: StudySpec, data_dir: Path | None, announce: Callable[[str], None] = lambda _line: None
) -> StudyData:
    """Loads the data of a study, or InputError; sets up the cache of compiled programs.

    From then on its parts can be imported, too.
    """
    make_importable(spec)
    try:
        dataset = _dataset(spec, data_dir, announce)
    except DataError as error:
        raise InputError(str(error)) from error
    # What loads the data is going to compute; a check or a dry run writes nothing.
    try:
        use_compilation_cache(default_cache_dir() / "compiled")
    except OSError as error:
        announce(f"compiled programs are not kept: {error.strerror}: {error.filename}")
    splits = split(dataset, None if spec.is_own_data else data_config(spec))
    judge = Judgment(
        metrics=list_metrics_of(spec),
        repeats=dataset.repeats,
        reserved=dataset.reserved,
        features=tuple(feature_slices(dataset, spec.objective.slices)),
        columns=dataset.movies.columns,
    )
    return StudyData(dataset, splits, judge)


def _dataset(spec: StudySpec, data_dir: Path | None, announce: Callable[[str], None]) -> Dataset:
    if isinstance(spec.data, DataDescription):
        # Readers of files are not imported where MovieLens is searched.
        from deeprec.events.loading import load_own

        dataset = load_own(spec.data, data_dir or spec.folder, announce=announce)
        _check_lists(spec, dataset)
        return dataset
    return load_dataset(data_config(spec), data_dir=data_dir, announce=announce)


def _check_lists(spec: StudySpec, dataset: Dataset) -> None:
    """A list of as many as there are items says nothing of any model."""
    items = dataset.movies.rows - dataset.reserved
    for metric in spec.metrics:
        if metric.k >= items:
            raise InputError(
                f"study {spec.name}: objective {metric} must have a k below the {items:,} items "
                "that training knows; choose a smaller k"
            )
