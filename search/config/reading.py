"""Study files: found, read and checked, with the choices of the command line.

``studies/NAME.toml`` describes a search. :func:`load_spec` reads one, :func:`override` applies what
the command line chose; both raise an ``InputError`` that names everything wrong in one line.
Where the workers of a search run is said on the command line alone: a :class:`Placement`.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Self

import tomli_w
from pydantic import ValidationError

from search.config import sections
from search.config.problems import did_you_mean, sentences
from search.config.study import Content, StudySpec, restored
from search.records.errors import InputError

SUFFIX = ".toml"
LARGEST_FILE = 1 << 18  # bytes of a study file
DEEPEST_KEY = 100  # dots in a key; what reads TOML takes minutes for a key of many thousands
SHOWN_PROBLEMS = 20


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


def _checked(
    content: Content, *, text: str, source: str, folder: Path | None, in_flags: bool = False
) -> StudySpec:
    """The study; what is wrong is named by its key, or by the flag that has set it."""
    try:
        return restored(content, text, folder)
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


LOCAL = "local"  # the cluster that Ray makes of this machine alone

_CARD = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What the command line says of it, checked."""

    cluster: str | None = None  # the address of Ray's, or ``local``; None without Ray
    cpus: int = 1  # of each worker on a cluster
    gpus: float = 0.0  # of each worker on a cluster: cards, or a share of one
    cards: tuple[str, ...] = ()  # of this machine, for workers without a cluster
    per_card: int = 1  # so many workers share each of them

    @classmethod
    def of(
        cls,
        *,
        cluster: str | None = None,
        worker_cpus: int | None = None,
        worker_gpus: float | None = None,
        gpus: str | None = None,
        per_gpu: int | None = None,
    ) -> Self:
        """The placement that flags ask for; InputError where they do not go together."""
        if cluster is None and (worker_cpus is not None or worker_gpus is not None):
            raise InputError(
                "--worker-cpus and --worker-gpus are for --cluster; without it workers share the "
                "cores of this machine, and --gpus names its cards"
            )
        if cluster is not None and gpus is not None:
            raise InputError("--gpus names cards of this machine; with --cluster, --worker-gpus")
        if gpus is None and per_gpu is not None:
            raise InputError("--per-gpu must come with --gpus, such as --gpus 0,1 --per-gpu 2")
        share = worker_gpus or 0.0
        if share < 0 or (share > 1 and not share.is_integer()):
            raise InputError(
                f"--worker-gpus must be a share of a card, such as 0.25, or whole cards but got "
                f"{share:g}"
            )
        cards = tuple(gpus.split(",")) if gpus is not None else ()
        if not all(map(_CARD.fullmatch, cards)) or len(set(cards)) < len(cards):
            raise InputError(f"--gpus must name different cards, such as 0,1, but got {gpus!r}")
        return cls(
            cluster=cluster,
            cpus=worker_cpus or 1,
            gpus=share,
            cards=cards,
            per_card=per_gpu or 1,
        )

    @property
    def is_remote(self) -> bool:
        """Whether workers may be on other machines."""
        return self.cluster not in (None, LOCAL)

    @property
    def flags(self) -> dict[str, object]:
        """The flags that ask for it, None where they are not needed."""
        own = self.cluster is not None
        return {
            "--cluster": self.cluster,
            "--worker-cpus": self.cpus if own and self.cpus > 1 else None,
            "--worker-gpus": f"{self.gpus:g}" if own and self.gpus else None,
            "--gpus": ",".join(self.cards) or None,
            "--per-gpu": self.per_card if self.per_card > 1 else None,
        }


HERE = Placement()
