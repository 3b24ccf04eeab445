"""What files of one's own hold: shown as tables, and written as a study file."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich import box
from rich.table import Table
from rich.text import Text

from deeprec.errors import DataError, printable
from deeprec.events.description import FilesDescription
from deeprec.events.proposing import (
    REPEATED,
    Proposal,
    ProposedStudy,
    ProposedTable,
    propose,
)
from search.config.addresses import call, flag
from search.config.problems import sentences
from search.config.reading import SUFFIX
from search.config.sections import SAFE_NAME
from search.display.terminal import Screen
from search.records.errors import InputError

LARGE_CATALOG = 5_000
"""Items from which on the softmax over all of them is estimated."""

MOST_ROWS = 200_000
"""Users, or items, up to which a closed form is proposed: above, its tables are large."""

HALF_LIFE = """half_life = { low = 7, high = 365 }             # days after which a row weighs half
"""

CLOSED_FORM = """\
spectral_dimension = { low = 64, high = 256 }   # of a closed form beside what is trained
spectral_penalty = { low = 50, high = 5000 }    # more is more about what is popular; logarithmic
spectral_weight = { low = 0.05, high = 2 }      # how many times its score counts, logarithmic
"""

CLOSED_FORM_START = """\
spectral_dimension = 64
spectral_penalty = 500
spectral_weight = 0.2
"""

SEARCHED = """
[objective]
metric = "ndcg@{short}"         # or recall, hit, mrr, map, precision at any k
also = ["recall@{long}", "coverage@{long}"]
# slices = {slices}  # test each of their values by itself, too

[training]
loss = {loss}  # over all items, grouped by user{estimated}
optimizer = "adam"
epochs = {epochs}                # passes over the users
validate_every = 5         # epochs between two validations; the pruner decides after each
averaging = 0.9            # validated is an average of the weights after the epochs
batch_size = 128           # users of one step of the optimizer, each with all of its rows
id_dropout = 0.1           # share of users and items that a step trains as unknown ones

[space]
depth = {{ low = 1, high = 2 }}                   # dense layers of a tower
width = {{ low = 32, high = 128 }}                # of a layer: powers of two, never widening
embedding_dimension = {{ low = 16, high = 64 }}   # of each feature: powers of two
learning_rate = {{ low = 0.0003, high = 0.01 }}   # of Adam, on a logarithmic scale
normalize = [true]                              # a score is a cosine
temperature = {{ low = 0.04, high = 0.4 }}        # scores are divided by it, logarithmic
dropout = {{ low = 0.1, high = 0.6 }}             # of elements of the final embeddings
l2 = {{ low = 1e-7, high = 1e-3 }}                # times the squares of all weights, logarithmic
{varied}
[pruner]
name = "median"
startup_trials = 5         # complete trials before anything is pruned
warmup_epochs = 15         # the first epoch after which a trial may be pruned

[[enqueue]]
name = "a start"           # how tables and runs call it
layer_sizes = [64]
embedding_dimension = 32
learning_rate = 0.002
normalize = true
temperature = 0.1
dropout = 0.3
l2 = 1e-6
{start}"""


def describe(
    interactions: str,
    users: str | None,
    items: str | None,
    options: Mapping[str, Any],
    write: Path | None,
    screen: Screen,
) -> None:
    """Shows what the columns of files hold, and writes a study file where one is asked for.

    Raises:
        InputError: a file cannot be read, or the study file cannot be written.
    """
    if write is not None:
        _check_new(write)
    try:
        files = [
            None if path is None else FilesDescription.model_validate({"path": path, **options})
            for path in (interactions, users, items)
        ]
        log, of_users, of_items = files
        assert log is not None
        study = propose(log, Path.cwd(), users=of_users, items=of_items)
    except ValidationError as error:
        raise InputError("; ".join(sentences(error, FilesDescription))) from error
    except DataError as error:
        raise InputError(str(error)) from error
    for table in (study.log, study.users, study.items):
        if table is not None:
            screen.print(table_of(table))
    for problem in study.problems:
        screen.warn(problem)
    if write is None:
        read = FilesDescription(path=interactions).model_dump()
        given = [flag("--users", users), flag("--items", items)]
        given += [flag(f"--{k}", None if v == read[k] else v) for k, v in options.items()]
        screen.show(f"study:  {call('search.describe', interactions, *given)} --write NAME.toml")
        return
    _write(write, study_file(study, write.parent))
    screen.show(f"written: {write}")
    if not study.problems:
        name = write.stem if write.parent.name == "studies" else str(write)
        screen.show(f"search:  {call('search.run', flag('--study', name))}")


def _check_new(path: Path) -> None:
    if path.suffix != SUFFIX:
        raise InputError(f"--write must be a {SUFFIX} file but got {path}")
    if not SAFE_NAME.fullmatch(path.stem):
        raise InputError(
            "--write must be called as a study may be, with letters, digits, '.', '_' and '-', but "
            f"got {path.name}"
        )
    if path.exists():
        raise InputError(f"{path} exists already; name another, or remove it")
    there = next(each for each in path.absolute().parents if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be written: {there} must be a folder that can be")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


def table_of(table: ProposedTable) -> Table:
    """The columns of a file: what they hold, what they may be for, and why."""
    shown = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=f"{table.files.shown}: {table.rows:,} rows",
        title_justify="left",
        title_style="bold",
    )
    for name in ("column", "type", "distinct", "nulls", "such as", "use", "why"):
        shown.add_column(name, justify="right" if name in ("distinct", "nulls") else "left")
    for each in table.proposals:
        column = each.column
        use = f"{each.role}: {each.kind}" if each.role == "feature" else each.role
        shown.add_row(
            Text(printable(column.name, 30)),
            column.type,
            f"{column.distinct:,}",
            f"{column.nulls:,}",
            Text(printable(", ".join(column.examples), 40)),
            use,
            Text(each.why),
        )
    return shown


def study_file(study: ProposedStudy, folder: Path) -> str:
    """The text of a study file with comments; paths in it are relative to its folder."""
    lines = [
        f"# What is searched: two towers trained on {printable(study.log.files.shown)}, as",
        "# python -m search.describe proposed; read the comments, and change what is not so.",
        "",
        "[study]",
        'description = ""           # what the study is for',
        "trials = 50                # complete or pruned trials of a finished study",
        "seed = 0                   # the origin of every random draw",
        "",
        "[data]",
        *_log(study, folder),
    ]
    for side, table in (("users", study.users), ("items", study.items)):
        if table is not None:
            lines += ["", f"[data.{side}]", *_side(side, table, folder)]
    users, items = (
        max((each.column.distinct for each in study.log.of_role(role)), default=0)
        for role in ("user", "item")
    )
    short, long = (k if items > 2 * k else max(items // 3, 1) for k in (10, 100))
    is_large, is_timed = items > LARGE_CATALOG, bool(study.log.of_role("time"))
    has_closed_form = max(users, items) <= MOST_ROWS
    searched = SEARCHED.format(
        short=short,
        long=long,
        slices=_text(_categories(study)),
        loss=_text("sampled_softmax" if is_large else "softmax"),
        estimated=", estimated from what each step draws" if is_large else "",
        epochs=80 if is_large else 60,
        varied=HALF_LIFE * is_timed + CLOSED_FORM * has_closed_form,
        start="half_life = 90\n" * is_timed + CLOSED_FORM_START * has_closed_form,
    )
    return "\n".join(lines) + "\n" + searched


def _categories(study: ProposedStudy) -> list[str]:
    """The features of users whose values may be looked at one by one."""
    features = study.users.of_role("feature") if study.users else []
    return [each.column.name for each in features if each.kind == "category"]


def _log(study: ProposedStudy, folder: Path) -> Iterator[str]:
    yield f"interactions = {_files(study.log.files, folder)}"
    for role in ("user", "item"):
        found = [each for each in study.log.proposals if each.role == role]
        if len(found) != 1:
            yield f'{role} = ""  # choose a column: the study is refused until then'
        for each in found:
            mark = "# or: " if len(found) > 1 else ""
            yield f"{mark}{role} = {_text(each.column.name)}  # {each.why}"
    yield from _time(study.log)
    yield from _label(study.log)
    repeats = study.repeated >= REPEATED
    yield (
        f'duplicates = "{"keep" if repeats else "last"}"  # of rows of one user with one item: '
        "error, first, last, sum, keep"
    )
    yield (
        f"repeats = {_text(repeats)}  # {study.repeated:.0%} of the rows repeat a user's item: "
        "may it be recommended again?"
    )
    yield 'unknown = "insert"  # ids that are not in their table: error, insert, drop'
    yield ""
    yield "[data.split]"
    timed = bool(study.log.of_role("time"))
    if timed:
        yield 'by = "time"  # the latest rows test; or last_per_user, random, files'
    else:
        yield 'by = "random"  # no times were found; name time above where there are: by = "time"'
    yield "validation = 0.1  # share of the rows before the test" + (
        ', or a date: "2025-03-01"' if timed else ""
    )
    yield "test = 0.1"


def _time(table: ProposedTable) -> Iterator[str]:
    for each in table.of_role("time"):
        column = each.column
        unit = _unit(column.low) if column.type in ("whole numbers", "numbers") else None
        value = _text(column.name)
        if unit:
            value = f"{{ column = {value}, unit = {_text(unit)} }}"
        if column.formats:
            value = f"{{ column = {value}, format = {_text(column.formats[0])} }}"
        yield f"time = {value}  # {column.low} to {column.high}; UTC where they name no zone"
        for other in column.formats[1:]:
            yield f"# or: format = {_text(other)}"


def _unit(low: str) -> str:
    return next(
        (unit for unit, limit in (("s", 1e10), ("ms", 1e13), ("us", 1e16)) if float(low) < limit),
        "ns",
    )


def _label(table: ProposedTable) -> Iterator[str]:
    for each in table.of_role("label"):
        column = each.column
        name = _text(column.name)
        if column.type == "text":
            weights = ", ".join(f"{_text(kind)} = 1.0" for kind in column.examples)
            label = f"{{ column = {name}, weights = {{ {weights} }} }}"
            yield f"# label = {label}  # kinds without a weight are left out"
        else:
            low, high = float(column.low), float(column.high)
            relevant = low + 0.75 * (high - low)
            if column.type == "whole numbers":
                relevant = math.ceil(relevant)
            ends = f"range = [{low:.1f}, {high:.1f}], relevant = {relevant:.1f}"
            yield f"label = {{ column = {name}, {ends} }}  # relevant from this number on"


def _side(side: str, table: ProposedTable, folder: Path) -> Iterator[str]:
    yield f"table = {_files(table.files, folder)}"
    for each in table.proposals:
        if each.role == "id":
            yield f"id = {_text(each.column.name)}"
    titles = table.of_role("title")
    if side == "items" and titles:
        yield f"title = {_text(titles[0].column.name)}  # what people read"
    elif side == "items":
        texts = [each.column.name for each in table.proposals if each.kind == "text"]
        yield f"# title = {_text(texts[0] if texts else '')}  # what people read, the id without it"
    yield "# ids = false  # described by their features alone, not each by an embedding of its own"
    yield f"[data.{side}.features]"
    for each in table.proposals:
        yield from _feature(each)


def _feature(each: Proposal) -> Iterator[str]:
    name = _text(each.column.name)
    if each.role in ("feature", "title") and each.kind is not None:
        value = _text(each.kind)
        if each.kind == "tags" and each.column.tags not in ("", "list"):
            value = f'{{ kind = "tags", separator = {_text(each.column.tags)} }}'
        yield f"{name} = {value}  # {each.why}"
    elif each.role != "id":
        yield f"# {name}: {each.why}"


def _files(files: FilesDescription, folder: Path) -> str:
    """The files as a study file names them: by their path from its folder, unless given whole."""
    path = files.path
    if not Path(path).is_absolute() and "://" not in path:
        path = os.path.relpath(Path(path).absolute(), folder.absolute())
    given = files.model_dump(exclude_defaults=True, exclude_none=True) | {"path": path}
    if list(given) == ["path"]:
        return _text(path)
    return "{ " + ", ".join(f"{name} = {_text(value)}" for name, value in given.items()) + " }"


def _text(value: object) -> str:
    """A value as TOML has it; JSON's texts, numbers and truths are TOML's."""
    return json.dumps(value, ensure_ascii=False)
