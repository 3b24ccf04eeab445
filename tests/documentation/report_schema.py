"""``docs/reference/report.md``: the JSON of a report, by its schema."""

import inspect
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from search.report import schema

HEAD = """# The JSON of a report

`python -m search.report --study NAME --json` prints one object, a `Report`. What is unknown is
null. A field that is added keeps the version; one that is removed or changes its meaning raises it.
"""


def page() -> str:
    """The page as Markdown: a table for each object, the report first."""
    parts: list[type[BaseModel]] = [
        schema.Report,
        *(part for part in _parts() if part is not schema.Report),
    ]
    return "\n".join([HEAD, *(_section(part) for part in parts)])


def _parts() -> Iterator[type[BaseModel]]:
    """The objects, in the order of their module."""
    for part in vars(schema).values():
        if inspect.isclass(part) and issubclass(part, schema.Part) and part is not schema.Part:
            yield part


def _section(part: type[BaseModel]) -> str:
    rows = [
        f"| `{name}` | {_in_words(field.annotation)} | {field.description} |"
        for name, field in part.model_fields.items()
    ]
    head = [f"## {part.__name__}", "", inspect.getdoc(part) or "", ""]
    return "\n".join([*head, "| field | type | meaning |", "|---|---|---|", *rows, ""])


def _in_words(annotation: Any) -> str:
    """A type as people who know JSON call it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_in_words, arguments))
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is list:
        return f"list of {_in_words(arguments[0])}"
    if origin is dict:
        return f"object of {_in_words(arguments[1])}"
    if inspect.isclass(annotation) and issubclass(annotation, schema.Part):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return _NAMES[annotation]


_NAMES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
