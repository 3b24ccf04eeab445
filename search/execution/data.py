"""The data of a study, all rows and those that a training may see; its parts, tried on a few.

What is wrong with the code that a study names is said in a line before the first trial; what goes
wrong later fails its trial.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from deeprec.config import loss_part
from deeprec.data.dataset import (
    Dataset,
    Splits,
    TrainingData,
    default_cache_dir,
    load_dataset,
    split,
)
from deeprec.data.history import table_for
from deeprec.data.overlap import Overlap
from deeprec.data.tables import FeatureTable, Interactions
from deeprec.errors import DataError
from deeprec.evaluation.ranking import MOVIELENS, Judgment
from deeprec.evaluation.slices import feature_slices
from deeprec.events.description import DataDescription
from deeprec.model.own import VALUES, OwnTower
from deeprec.model.retrieval import RetrievalModel
from deeprec.parts import Kind, PartError, what_happened
from deeprec.training.lists import Judged, of_users
from deeprec.training.programs import use_compilation_cache
from search.config.dimensions import OwnChoices
from search.config.space import Configuration, data_config, list_metrics_of
from search.config.study import StudySpec, make_importable
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
        """What the split loses, counted; see :data:`search.analysis.slices.Counts`."""
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


USERS, CANDIDATES, ROWS = 2, 5, 3  # of what a loss and a metric are tried on


def check_names(spec: StudySpec) -> None:
    """InputError unless all parts can be imported, and ask for what the space has."""
    make_importable(spec)
    try:
        problems = [*_name_problems(spec)]
    except PartError as error:
        raise InputError(f"study {spec.name}: {error}") from error
    if problems:
        raise InputError(f"study {spec.name}: {'; '.join(problems)}")


def check_parts(spec: StudySpec, data: TrainingData) -> None:
    """InputError unless all parts work on a few rows, and return what they must."""
    if not spec.parts:
        return
    check_names(spec)
    try:
        _try_towers(spec, data)
        _try_loss(spec)
        _try_metrics(spec, data)
    except PartError as error:
        raise InputError(f"study {spec.name}: {error}") from error


def _name_problems(spec: StudySpec) -> Iterator[str]:
    own = {dimension.name: values for dimension, values in spec.space.own}
    numbers = {name for name, values in own.items() if not _holds_texts(values)}
    given = {"towers": {*VALUES, *own}, "loss": numbers, "metric": {"features"}}
    asked: set[str] = set()
    for part in spec.parts:
        asked |= part.asked_for.keys() if part.kind != "metric" else set()
        for name, is_needed in part.asked_for.items():
            if is_needed and name not in given[part.kind]:
                yield f"{part} asks for {name}, {_MAY_ASK[part.kind]}"
    for name in own.keys() - asked:
        named = " and ".join(str(part) for part in spec.parts if part.kind != "metric")
        yield f"space.{name} must be asked for by the study's parts, but {named} takes no such"
    if spec.model.towers:
        yield from _idle_problems(spec, asked)


_MAY_ASK: Mapping[Kind, str] = {
    "towers": "which must be a dimension of [space]",
    "loss": "which must be a dimension of [space] with numbers",
    "metric": "but a metric is given features alone",
}


def _holds_texts(values: Any) -> bool:
    return isinstance(values, OwnChoices) and any(isinstance(each, str) for each in values.root)


def _idle_problems(spec: StudySpec, asked: set[str]) -> Iterator[str]:
    """What the space varies of our towers, and those of the study do not ask for."""
    space = spec.space
    idle = {"depth": "layer_sizes", "width": "layer_sizes", "embedding_dimension": VALUES[2]}
    for key, name in idle.items():
        if name not in asked and getattr(space, key).is_open:
            low = getattr(space, key).low
            yield (
                f"space.{key} must have one value, such as {{ low = {low}, high = {low} }}, where "
                f"towers {spec.model.towers!r} ask for no {name}"
            )


def smallest(spec: StudySpec) -> Configuration:
    """The configuration of the lowest values of the space, and of the first choices."""
    space = spec.space

    def lowest(values: Any) -> Any:
        return values.ends[0] if hasattr(values, "ends") else values.root[0]

    return Configuration(
        layer_sizes=(space.width.values[0],) * space.depth.low,
        values={each.name: lowest(values) for each, values in space.varied},
    )


def _try_towers(spec: StudySpec, data: TrainingData) -> None:
    if spec.model.towers is None:
        return
    config = smallest(spec).model_config(spec.model.towers)
    model = RetrievalModel.for_tables(data.users, data.movies, config, seed=0)
    _try_tower(model.query_model, table_for(model.query_model.schema, data.users, data.train))
    _try_tower(model.candidate_model, data.movies)


def _try_tower(tower: OwnTower, table: FeatureTable) -> None:
    rows = np.arange(min(ROWS, table.rows), dtype=np.int32)
    try:
        found = np.asarray(tower(table.take(rows)))
    except Exception as error:
        raise PartError(
            f"{tower.part} must embed rows but raised {what_happened(error)}"
        ) from error
    where = f"for the {tower.side} side"
    if found.shape != (len(rows), tower.dimension):
        raise PartError(
            f"{tower.part} must return [batch, dimension] = {[len(rows), tower.dimension]} {where} "
            f"but returned {[*found.shape]}"
        )
    if not np.isfinite(found).all():
        raise PartError(f"{tower.part} must return finite numbers {where} but some are not")


def _try_loss(spec: StudySpec) -> None:
    part = loss_part(spec.training.loss)
    if part is None:
        return
    own = dict(smallest(spec).training_config(spec, 0).own)
    users, movies = jnp.arange(ROWS) % USERS, jnp.arange(ROWS)
    weights = jnp.array([1.0, 0.5, 0.0])  # the last is padding

    def loss(scores: jax.Array) -> Any:
        found = part.call(scores, users, movies, weights, **own)
        if jnp.shape(found) != ():
            raise PartError(f"{part} must return a scalar but returned {[*jnp.shape(found)]}")
        return found

    scores = jnp.linspace(-0.5, 0.5, USERS * CANDIDATES).reshape(USERS, CANDIDATES)
    try:
        value, gradient = jax.jit(jax.value_and_grad(loss))(scores)
    except PartError:
        raise
    except Exception as error:
        raise PartError(
            f"{part} must be a loss in JAX but raised {what_happened(error)}"
        ) from error
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        raise PartError(f"{part} must have a finite value and gradient but has not")


def _try_metrics(spec: StudySpec, data: TrainingData) -> None:
    for metric in spec.metrics:
        if metric.part is not None:
            items = 1 + np.arange(USERS * metric.k, dtype=np.int32) % (data.movies.rows - 1)
            lists = items.reshape(USERS, metric.k)
            hits, counts = lists % 2 == 0, np.full(USERS, metric.k)
            of_users(metric, Judged(lists, hits, counts, data.movies.columns))
