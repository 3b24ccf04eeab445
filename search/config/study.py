"""A study: its sections checked as a whole, and hashed; the code that it names, identified.

Nothing slow is imported, and nothing of that code: a report or a comparison runs none of it.
"""

import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from deeprec.config import Metric, loss_part
from deeprec.events.description import DataDescription
from deeprec.parts import SHIPPED, Part
from search.config import sections, strategies
from search.config.dimensions import Section, own_dimension
from search.config.problems import sentences, unknown_key
from search.records.trials import COSTS

MAX_GRID = 100_000

Content = dict[str, Any]


def _kind_of_data(given: object) -> str:
    """Which model ``[data]`` is: MovieLens's presets name a data set, other data its log."""
    if isinstance(given, DataDescription) or (isinstance(given, dict) and "interactions" in given):
        return "interactions"
    return "dataset"


class StudySpec(Section):
    """A study file whose every key is known, typed and consistent with the others."""

    study: sections.StudySection
    data: Annotated[
        Annotated[sections.DataSection, Tag("dataset")]
        | Annotated[DataDescription, Tag("interactions")],
        Discriminator(_kind_of_data),
    ] = sections.DataSection()
    model: sections.ModelSection = sections.ModelSection()
    objective: sections.ObjectiveSection = sections.ObjectiveSection()
    limits: sections.LimitsSection = sections.LimitsSection()
    training: sections.TrainingSection = sections.TrainingSection()
    space: sections.SpaceSection = sections.SpaceSection()
    sampler: strategies.SamplerOptions = strategies.TpeOptions()
    pruner: strategies.PrunerOptions = strategies.MedianOptions()
    warm_start: sections.WarmStartSection = sections.WarmStartSection()
    enqueue: tuple[sections.EnqueuedSection, ...] = Field(default=(), max_length=1000, strict=False)

    _text: str = PrivateAttr(default="")
    _folder: Path | None = PrivateAttr(default=None)

    @field_validator("sampler", "pruner", mode="before")
    @classmethod
    def _accept_hyphens(cls, options: object) -> object:
        """``successive-halving``, as a command line spells it, is ``successive_halving``."""
        if isinstance(options, dict) and isinstance(options.get("name"), str):
            return options | {"name": options["name"].replace("-", "_")}
        return options

    @model_validator(mode="before")
    @classmethod
    def _prune_nothing_for_several(cls, content: Any) -> Any:
        """Where several objectives are named and no pruner is, there is none."""
        objective = content.get("objective") if isinstance(content, dict) else None
        metrics = objective.get("metrics") if isinstance(objective, dict) else None
        if isinstance(metrics, list | tuple) and len(metrics) > 1 and "pruner" not in content:
            return content | {"pruner": {"name": "none"}}
        return content

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        problems = [
            *self._data_problems(),
            *self._slice_problems(),
            *self._loss_problems(),
            *(own := [*self._own_problems()]),
            *([] if own else self._enqueue_problems()),
            *self._warm_start_problems(),
            *self._pruner_problems(),
            *self._sampler_problems(),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _data_problems(self) -> Iterator[str]:
        if isinstance(self.data, sections.DataSection):
            if self.training.id_dropout and self.space.history is None:
                yield (
                    "training.id_dropout must be left out where data.dataset is a data set of "
                    "MovieLens, unless the space has a history: nothing else tells unknown users "
                    "apart"
                )
        elif self.data.label is None and self.training.loss == "rating":
            yield (
                "training.loss must be 'softmax', 'sampled_softmax' or 'in_batch_softmax' where "
                "data.label is left out: there are no ratings to learn"
            )
        if isinstance(self.data, DataDescription):
            yield from self._id_problems(self.data)

    def _id_problems(self, data: DataDescription) -> Iterator[str]:
        users, reads_history = data.users, self.space.history is not None
        if reads_history and not data.items.ids:
            yield (
                "space.history must be left out where data.items.ids is false: a history is one "
                "of items by their ids"
            )
        if self.space.spectral_dimension is not None:
            yield from self._closed_form_problems(users=users.ids, items=data.items.ids)
        if not (users.ids or users.features or reads_history):
            yield (
                "data.users must have a feature, or the space a history, where data.users.ids is "
                "false: nothing else tells users apart"
            )

    def _closed_form_problems(self, *, users: bool, items: bool) -> Iterator[str]:
        """What is wrong with a closed form where a side has ids, or has none."""
        if not items:
            yield (
                "space.spectral_dimension must be left out where data.items.ids is false: a closed "
                "form is one of items by their ids"
            )
        if not users and self.space.history is None:
            yield (
                "space.spectral_dimension must be left out where data.users.ids is false, or the "
                "space have a history: a closed form knows users by their ids or histories"
            )

    def _slice_problems(self) -> Iterator[str]:
        own = self.data if isinstance(self.data, DataDescription) else None
        sides = [own.users.features, own.items.features] if own else []
        for name in self.objective.slices:
            kinds = [features[name].kind for features in sides if name in features]
            if kinds != ["category"]:
                found = (
                    f"is {kinds[0]!r}" if len(kinds) == 1 else "names two" if kinds else "is none"
                )
                yield (
                    "objective.slices must name features of users or items, each of one of them "
                    f"and of the kind 'category', but {name!r} {found}"
                )

    def _loss_problems(self) -> Iterator[str]:
        default = sections.TrainingSection.model_fields["negatives"].default
        if self.training.loss != "sampled_softmax" and self.training.negatives != default:
            yield (
                "training.negatives must be left out where training.loss is "
                f"{self.training.loss!r}: it belongs to the loss sampled_softmax"
            )
        for name in ("spectral_penalty", "spectral_weight"):
            if getattr(self.space, name) is not None and self.space.spectral_dimension is None:
                yield (
                    f"space.{name} must be left out where the space has no spectral_dimension: it "
                    "belongs to a closed form"
                )
        if self.training.loss == "rating":
            for each, _ in self.space.varied:
                if each.only_ranking:
                    yield (
                        f"space.{each.name} must be left out where training.loss is 'rating': it "
                        "belongs to the softmax losses"
                    )

    def _own_problems(self) -> Iterator[str]:
        """What is wrong with the further keys of space and enqueue."""
        keys = self.space.model_extra or {}
        has_parts = any(part.kind != "metric" for part in self.parts)
        for key, given in keys.items():
            if not has_parts:
                yield unknown_key("space", key, [*sections.SpaceSection.model_fields])
                continue
            try:
                own_dimension(key, given)
            except ValidationError as error:
                for each in sentences(error, Section):  # of the values, or of one end
                    yield f"space.{key}{' ' if each.startswith('must ') else '.'}{each}"
            except ValueError as error:
                yield f"space.{key} {error}"
        for index, entry in enumerate(self.enqueue):
            for key in (entry.model_extra or {}).keys() - keys.keys():
                allowed = [*sections.EnqueuedSection.model_fields, *keys]
                yield unknown_key(f"enqueue[{index}]", key, allowed)

    def _enqueue_problems(self) -> Iterator[str]:
        names: dict[str, int] = {}
        configurations: dict[object, int] = {}
        for index, entry in enumerate(self.enqueue):
            for problem in entry.problems_in(self.space):
                yield f"enqueue[{index}].{problem}"
            first = names.setdefault(entry.name, index)
            if first != index:
                yield f"enqueue[{index}].name must be unique but {entry.name!r} is enqueue[{first}]"
            key = entry.model_dump_json(exclude={"name"})
            first = configurations.setdefault(key, index)
            if first != index:
                yield f"enqueue[{index}] must differ from the others but repeats enqueue[{first}]"

    def _warm_start_problems(self) -> Iterator[str]:
        for name in self.warm_start.studies:
            if name == self.study.name or not sections.SAFE_NAME.fullmatch(name):
                yield f"warm_start.studies must be names of other studies but got {name!r}"

    def _pruner_problems(self) -> Iterator[str]:
        if isinstance(self.pruner, strategies.NoPrunerOptions):
            return
        if len(self.objectives) > 1:
            yield (
                "pruner.name must be 'none', or [pruner] left out, where objective.metrics names "
                f"several, as no trial is pruned then, but got {self.pruner.name!r}"
            )
            return
        first = self.pruner.first_decision(self.training.validate_every)
        last = self.training.last_prunable_epoch
        if first > last:
            yield (
                f"pruner {self.pruner.name!r} leaves nothing to prune: it first decides after "
                f"epoch {first}, but the last validation before the end is "
                + (f"after epoch {last}" if last else f"missing (epochs is {self.training.epochs})")
                + " (let it decide earlier, validate more often, or choose the pruner 'none')"
            )

    def _sampler_problems(self) -> Iterator[str]:
        if len(self.objectives) > 1 and isinstance(self.sampler, strategies.CmaesOptions):
            yield (
                "sampler.name must be 'tpe', 'nsgaii', 'random' or 'grid' where objective.metrics "
                "names several but got 'cmaes', which knows one objective"
            )
        if not isinstance(self.sampler, strategies.GridOptions):
            return
        if self.space.open_dimensions:
            yield (
                "sampler 'grid' tries architectures and learning rates, so "
                f"space.{self.space.open_dimensions[0]} must be one value or left out "
                "(or choose another sampler)"
            )
        size = self.space.architectures * self.sampler.learning_rates
        if size > MAX_GRID:
            yield (
                f"sampler 'grid' must have at most {MAX_GRID} configurations but the space holds "
                f"{self.space.architectures} architectures x {self.sampler.learning_rates} "
                "learning rates (narrow the space or choose another sampler)"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as data: the classes of ranges have no place to be found in."""
        return restored, (self.model_dump(), self._text, self._folder)

    @property
    def name(self) -> str:
        """The study's name, safe as the name of a file."""
        return self.study.name

    @property
    def text(self) -> str:
        """The file's text, as it was read."""
        return self._text

    @property
    def folder(self) -> Path:
        """Of the study file: where paths in it begin; the working directory where it has none."""
        return self._folder or Path.cwd()

    @property
    def is_own_data(self) -> bool:
        """Whether the data is other than MovieLens."""
        return isinstance(self.data, DataDescription)

    @property
    def registered_model(self) -> str:
        """The name of its models in MLflow's registry: one for MovieLens, else the study's."""
        return self.name if self.is_own_data else "deep-retrieval"

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of one's own that the study names, each once."""
        towers, loss = self.model.towers, loss_part(self.training.loss)
        found = (Part("towers", towers) if towers else None, loss, *(m.part for m in self.metrics))
        return tuple(dict.fromkeys(part for part in found if part))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is measured on the validation rows, the objective first."""
        default = "top_accuracy@100" if isinstance(self.data, sections.DataSection) else "ndcg@10"
        named = (*(self.objective.named or (default,)), *self.objective.also)
        return tuple(dict.fromkeys(Metric.of(name) for name in named if name not in COSTS))

    @property
    def objective_metric(self) -> str:
        """The objective's name among the metrics of an epoch, such as ``val_ndcg_at_10``."""
        return f"val_{self.metrics[0].key}"

    @property
    def objectives(self) -> tuple[str, ...]:
        """What trials are judged by: metrics of an epoch, the first of all, and costs, by name."""
        further = self.objective.named[1:]
        named = (name if name in COSTS else f"val_{Metric.of(name).key}" for name in further)
        return (self.objective_metric, *named)

    @property
    def directions(self) -> tuple[Literal["maximize", "minimize"], ...]:
        """Of each objective: costs are minimized."""
        return tuple("minimize" if name in COSTS else "maximize" for name in self.objectives)

    @property
    def measured_costs(self) -> frozenset[str]:
        """The costs that are limited, or an objective."""
        return frozenset(COSTS) & {*self.limits.given, *self.objectives}

    @property
    def comparable(self) -> Content:
        """What the result of a trial means, as JSON values: not which trials are run."""
        content = self.model_dump(
            mode="json", include={"data", "training", "space"}, exclude_none=True
        )
        for name in sections.TrainingSection.ADDED_LATER:
            if content["training"][name] == sections.TrainingSection.model_fields[name].default:
                del content["training"][name]
        if isinstance(self.data, DataDescription):
            content["data"] = self.data.recipe
        if self.parts:
            content["parts"] = {str(part): part.place for part in self.parts}
        several = {"direction": ", ".join(self.directions), "metric": ", ".join(self.objectives)}
        return {**several, **content}

    @property
    def space_hash(self) -> str:
        """SHA-256 of :attr:`comparable`, in hexadecimal."""
        canonical = json.dumps(self.comparable, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def restored(content: Content, text: str, folder: Path | None) -> StudySpec:
    """The study of a file's content; pydantic's ValidationError where it is none."""
    spec = StudySpec.model_validate(content)
    spec._text, spec._folder = text, folder
    return spec


def differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """How two :attr:`StudySpec.comparable` differ, such as ``space.depth.high was 4, is 5``."""
    before, after = dict(_flat(stored)), dict(_flat(current))
    both = [
        (key, before.get(key, "absent"), after.get(key, "absent"))
        for key in sorted(before.keys() | after.keys())
    ]
    return [f"{key} was {was}, is {now}" for key, was, now in both if was != now]


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


MISSING = "not found"


def make_importable(spec: StudySpec) -> None:
    """Has Python look for modules in the folder of the study file, too, after all others."""
    if spec.parts and spec.folder is not None and str(spec.folder) not in sys.path:
        sys.path.append(str(spec.folder))


def code_of(spec: StudySpec) -> dict[str, str]:
    """What identifies the code of the parts that a study names, by their modules.

    The version of the package, where it is installed as one, and the SHA-256 of the module's
    source: ``0.1.0, source 3f2c9d0e8b7a``. What comes along is known by the version of this
    project.
    """
    make_importable(spec)
    brought = (part for part in spec.parts if part.name not in SHIPPED[part.kind])
    modules = dict.fromkeys(part.place.partition(":")[0] for part in brought)
    return {module: _identity(module) for module in modules}


def changed_code(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What is not as it was, such as ``shop.parts was source 3f2c9d0e8b7a, is source ...``."""
    return [
        f"{module} was {before.get(module)}, is {code}"
        for module, code in now.items()
        if before.get(module) != code
    ]


def _identity(module: str) -> str:
    found = _found(module)
    if found is None or found.origin is None:
        return MISSING
    try:
        digest = hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()[:12]
    except OSError:  # it is no file, as in a zip archive
        return MISSING
    try:
        return f"{version(module.partition('.')[0])}, source {digest}"
    except PackageNotFoundError:
        return f"source {digest}"


def _found(module: str) -> ModuleSpec | None:
    """Where a module is; none of its packages is imported for it."""
    first, *others = module.split(".")
    try:
        found = importlib.util.find_spec(first)
        for name in others:
            if found is None:
                return None
            first = f"{first}.{name}"
            found = PathFinder.find_spec(first, found.submodule_search_locations or ())
    except (ImportError, ValueError):
        return None
    return found
