"""The study file: found, read, checked as a whole, and hashed.

``studies/NAME.toml`` describes a search. :func:`load_spec` reads one, :func:`override` applies what
the command line chose; both raise an ``InputError`` that names everything wrong in one line.
Nothing slow is imported, so this takes no noticeable time.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Self

import tomli_w
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
from deeprec.parts import Part
from search.config import sections
from search.config.dimensions import Section, own_dimension
from search.config.problems import did_you_mean, sentences, unknown_key
from search.records.costs import COSTS
from search.records.errors import InputError

SUFFIX = ".toml"
MAX_GRID = 100_000
LARGEST_FILE = 1 << 18  # bytes of a study file
DEEPEST_KEY = 100  # dots in a key; what reads TOML takes minutes for a key of many thousands
SHOWN_PROBLEMS = 20

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
    sampler: sections.SamplerOptions = sections.TpeOptions()
    pruner: sections.PrunerOptions = sections.MedianOptions()
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
            if self.training.id_dropout:
                yield (
                    "training.id_dropout must be left out where data.dataset is a data set of "
                    "MovieLens: it has no row for unknown users"
                )
        elif self.data.label is None and self.training.loss == "rating":
            yield (
                "training.loss must be 'softmax', 'sampled_softmax' or 'in_batch_softmax' where "
                "data.label is left out: there are no ratings to learn"
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
        if isinstance(self.pruner, sections.NoPrunerOptions):
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
        if len(self.objectives) > 1 and isinstance(self.sampler, sections.CmaesOptions):
            yield (
                "sampler.name must be 'tpe', 'nsgaii', 'random' or 'grid' where objective.metrics "
                "names several but got 'cmaes', which knows one objective"
            )
        if not isinstance(self.sampler, sections.GridOptions):
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
        return _restored, (self.model_dump(), self._text, self._folder)

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


def _restored(content: Content, text: str, folder: Path | None) -> StudySpec:
    spec = StudySpec.model_validate(content)
    spec._text, spec._folder = text, folder
    return spec


def load_spec(study: str, *, folders: Sequence[Path]) -> StudySpec:
    """Read and check a study file.

    ``study`` is a name (the file ``NAME.toml`` in one of the folders, the first wins), or the path
    of a ``.toml`` file. Folders that do not exist are skipped.

    Raises:
        InputError: the study is unknown, or its file cannot be read or is not valid.
    """
    path = _find(study, folders)
    text, folder = _read(path), path.absolute().parent
    return spec_of_text(text, name=path.stem, source=str(path), folder=folder)


def spec_of_text(text: str, *, name: str, source: str, folder: Path | None = None) -> StudySpec:
    """The study of a text, which may name it, or InputError that says where it is from."""
    content = _parse(text, source)
    section = content.setdefault("study", {})
    if isinstance(section, dict):
        section.setdefault("name", name)
    return _checked(content, text=text, source=source, folder=folder)


def spec_of_content(content: Mapping[str, Any], *, folder: Path) -> StudySpec:
    """The study of the sections of a file, given as a mapping; paths begin at the folder.

    Raises:
        InputError: it has no name, holds what a file cannot hold, or is not valid.
    """
    source = "the study"
    section = content.get("study")
    name = section.get("name") if isinstance(section, Mapping) else None
    if not isinstance(name, str):
        raise InputError(f'{source}: study.name must be given, as {{"study": {{"name": "mine"}}}}')
    try:
        text = tomli_w.dumps(_plain(content))
    except (TypeError, ValueError) as error:
        raise InputError(f"{source} must hold what a study file can hold: {error}") from error
    return spec_of_text(text, name=name, source=source, folder=folder)


def _plain(value: Any) -> Any:
    """A value as TOML has it, without what is None; a path is an absolute text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, PurePath):
        return str(Path(value).absolute())
    return value.item() if hasattr(value, "item") else value


def override(
    spec: StudySpec,
    *,
    sampler: str | None = None,
    pruner: str | None = None,
    trials: int | None = None,
    seed: int | None = None,
    extends: str | None = None,
) -> StudySpec:
    """The study with the command line's choices in place of the file's; None keeps the file's.

    What it ``extends`` is one more study whose trials it begins with.

    A sampler or pruner that the file chose too keeps the file's options; another one has its
    defaults.

    Raises:
        InputError: a choice is unknown, out of bounds, or does not fit the rest of the study.
    """
    content = spec.model_dump()
    numbers = {"trials": trials, "seed": seed}
    content["study"] |= _plain(numbers)
    if trials is not None:  # so many are wanted, whatever they bring
        content["study"]["stop_when_stalled"] = None
    for key, name in (("sampler", sampler), ("pruner", pruner)):
        if name is not None and name.replace("-", "_") != content[key]["name"]:
            content[key] = {"name": name}
    if extends is not None:
        content["warm_start"]["studies"] = [*spec.warm_start.studies, extends]
    source = f"study {spec.name}"
    return _checked(content, text=spec.text, source=source, folder=spec.folder, in_flags=True)


def overridden(spec: StudySpec) -> dict[str, Any]:
    """What :func:`override` must be given to make the study of its file, beside the trials."""
    file = spec_of_text(spec.text, name=spec.name, source=f"study {spec.name}")
    chosen = {
        "seed": (spec.study.seed, file.study.seed),
        "sampler": (spec.sampler.name, file.sampler.name),
        "pruner": (spec.pruner.name, file.pruner.name),
    }
    return {name: value for name, (value, of_file) in chosen.items() if value != of_file}


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


def _checked(
    content: Content, *, text: str, source: str, folder: Path | None, in_flags: bool = False
) -> StudySpec:
    """The study; what is wrong is named by its key, or by the flag that has set it."""
    try:
        return _restored(content, text, folder)
    except ValidationError as error:
        problems = sentences(error, StudySpec)
    if in_flags:
        problems = [_FLAGS.sub(r"--\1\2", problem) for problem in problems]
        problems = [each.replace("warm_start.studies must", "--extends must") for each in problems]
    if (more := len(problems) - SHOWN_PROBLEMS) > 0:
        problems = [*problems[:SHOWN_PROBLEMS], f"and {more:,} more"]
    raise InputError(f"{source}: {'; '.join(problems)}")


_FLAGS = re.compile(r"^(?:study\.(trials|seed)|(sampler|pruner)\.name)(?= must)")


def _find(study: str, folders: Sequence[Path]) -> Path:
    """The path of a study; whether it can be read is another question."""
    if study.endswith(SUFFIX) and _exists(Path(study)):
        return Path(study)
    if folder := folder_of(study, folders):
        return folder / f"{study}{SUFFIX}"
    known = _known_studies(folders)
    raise InputError(
        f"unknown study {study[:80]!r}: it must be the path of a {SUFFIX} file or one of "
        f"{', '.join(known) or 'the studies, of which there is none'} "
        f"in {', '.join(map(str, folders)) or 'no folder'}{did_you_mean(study, known)}"
    )


def folder_of(study: str, folders: Sequence[Path]) -> Path | None:
    """The first of the folders in which a study of that name has its file."""
    if not sections.SAFE_NAME.fullmatch(study):
        return None
    return next((each for each in folders if _exists(each / f"{study}{SUFFIX}")), None)


def _exists(path: Path) -> bool:
    """Whether there is something at the path, be it a file that cannot be read."""
    try:
        return path.exists()
    except PermissionError:
        return True
    except (OSError, ValueError):  # a name that is too long, or holds a null character
        return False


def _known_studies(folders: Sequence[Path]) -> list[str]:
    names = {path.stem for folder in folders for path in folder.glob(f"*{SUFFIX}")}
    return sorted(name for name in names if sections.SAFE_NAME.fullmatch(name))


def _read(path: Path) -> str:
    try:
        if path.is_fifo() or path.is_char_device():  # which might never end
            raise InputError(f"{path} must be a file but is not; name a {SUFFIX} file")
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(data) > LARGEST_FILE:
        raise InputError(f"{path} must have at most {LARGEST_FILE:,} bytes, as a study file has")
    try:
        return data.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path} must be UTF-8 text but line {line} holds the byte 0x{data[error.start]:02x} "
            "(save it as UTF-8)"
        ) from None


_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)")


def _parse(text: str, path: str) -> Content:
    try:
        keys = (re.split("[#=]", line, maxsplit=1)[0] for line in text.splitlines())
        if any(key.count(".") > DEEPEST_KEY for key in keys):
            raise RecursionError
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{path} is not valid TOML: its values are nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, or a number with too many digits
        message = str(error).split("\n", 1)[0]
        found = _POSITION.search(message)
        where = ""
        if found:
            last_line = text.rsplit("\n", 1)[-1]
            line, column = found[1] or text.count("\n") + 1, found[2] or len(last_line) + 1
            where = f" at line {line}, column {column}"
            message = _POSITION.sub("", message)
        raise InputError(f"{path} is not valid TOML{where}: {message}") from None
