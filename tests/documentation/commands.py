"""``docs/reference/commands.md``: every flag of every command, from Typer's declarations."""

import importlib
import re
from typing import Any

import typer

from search.config.addresses import PROJECT, VARIABLES
from tests.documentation.markdown import code, table

ORDER = ("run", "retrain", "report", "recommend", "export", "serve", "reproduce", "sync")
"""In which people need them; others follow."""

INTRODUCTION = """# Commands

Each command is a module: `python -m search.NAME`, with the Python of the environment
(`.venv/bin/python` after `make setup`). `--help` prints the same. What a command is given is
checked before any work; see [exit codes](exit-codes.md).

`--storage` and `--tracking-uri` are also read from `DEEPREC_STORAGE` and `MLFLOW_TRACKING_URI`. An
address with a password belongs there. A flag wins over its variable. `make search` reads both
variables, too: unset them if it shall work in this folder alone.
"""


def modules() -> list[str]:
    """The modules that are commands, ``search.run`` first."""
    found = [
        ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__main__")
        for path in sorted((PROJECT / "search").rglob("*.py"))
        if "run_command(main" in path.read_text(encoding="utf-8")
    ]
    place = {f"search.{name}": index for index, name in enumerate(ORDER)}
    return sorted(found, key=lambda name: place.get(name, len(place)))


def page() -> str:
    """The page as Markdown."""
    return "\n".join([INTRODUCTION, *map(_section, modules())])


def _section(name: str) -> str:
    is_package = PROJECT.joinpath(*name.split(".")).is_dir()
    main = importlib.import_module(f"{name}.__main__" if is_package else name).main
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(main)
    command: Any = typer.main.get_command(app)
    rows = [
        (_flag(each), _default(each), _meaning(each))
        for each in command.params
        if each.name != "help"
    ]
    flags = table(("flag", "default", "meaning"), rows)
    return f"## python -m {name}\n\n{_described(command.help or '')}\n\n{flags}\n"


def _described(text: str) -> str:
    """A command's help; its examples as code."""
    prose, _, examples = re.sub(r"\bExamples?:", "\0", text, count=1).partition("\0")
    paragraphs = [" ".join(part.split()) for part in prose.strip().split("\n\n")]
    lines = [line.strip() for line in examples.strip().splitlines()]
    shown = "\n".join(["```", *lines, "```"])
    return "\n\n".join([*paragraphs, shown] if lines else paragraphs)


def _flag(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return code(parameter.metavar)
    names = [*parameter.opts, *parameter.secondary_opts]
    takes = "" if parameter.is_flag else f" {parameter.metavar}"
    return ", ".join(code(f"{name}{takes}") for name in names)


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    default = parameter.default
    if parameter.param_type_name == "argument" or default in (None, ...):
        return "required" if parameter.required else ""
    if isinstance(default, bool):
        names = parameter.opts if default else parameter.secondary_opts
        return code(names[0]) if names else "off"
    return code(f"{default:g}" if isinstance(default, float) else str(default))


def _meaning(parameter: Any) -> str:
    sentences = [parameter.help or ""]
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if low is not None:
        sentences.append(f"At least {low:,}." if high is None else f"From {low:,} to {high:,}.")
    if variable := VARIABLES.get(parameter.opts[0]):
        assert variable in sentences[0], f"the help of {parameter.opts[0]} names its variable"
    return " ".join(filter(None, sentences))
