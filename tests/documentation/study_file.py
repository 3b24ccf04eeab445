"""``docs/reference/study-file.md``: every key of a study file, from the Pydantic models.

Types, defaults and bounds are those of the models' JSON schema, meanings the docstrings under the
fields: there is no other place where a key is described.
"""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from deeprec.events import description
from search.config import sections, strategies
from search.config.study import StudySpec
from tests.documentation.markdown import code, prose, table

INTRODUCTION = """# The study file

`studies/NAME.toml` describes a search. It is TOML, at most 256 KiB. Unknown keys are errors, and
nothing is converted: `"3"` is not `3`. Everything that is wrong is said in one line, before any
work. How to write one: [Write a study](../how-to/write-a-study.md). Every section may
be left out, and of a section that is there every key whose default is not *required*. Of a
range both `low` and `high` are required.

A study that exists is bound to its `[data]`, `[training]`, `[space]` and seed. The sampler, the
pruner, the number of trials, the description and the configurations to try first may change.
"""

FROM_THE_FILE = {"study.name": "the stem of the file"}
"""Required by the model, and filled in when the file is read."""

OF_DATA = """## [data]

A data set of MovieLens, `movielens/100k` when the section is left out, or other data: a section
with `interactions` describes files. [Bring your data](../how-to/other-data.md) shows how.
"""

DATA: Mapping[str, type[BaseModel]] = {
    "[data] of MovieLens": sections.DataSection,
    "[data] of other data": description.DataDescription,
    "data.interactions, data.users.table, data.items.table": description.FilesDescription,
    "data.time": description.TimeDescription,
    "data.label": description.LabelDescription,
    "data.core": description.CoreDescription,
    "[data.split]": description.SplitDescription,
    "[data.users], [data.items]": description.SideDescription,
    "[data.users.features], [data.items.features]": description.FeatureDescription,
}

KINDS = {"integer": "integer", "number": "number", "boolean": "true or false", "string": "text"}

Schema = Mapping[str, Any]


def page() -> str:
    """The page as Markdown."""
    schema = StudySpec.model_json_schema()
    parts = [INTRODUCTION]
    for section, model in StudySpec.model_fields.items():
        parts.extend(_parts(section, schema, model.annotation))
    return "\n".join(parts)


def _parts(section: str, schema: Schema, annotation: Any) -> Iterator[str]:
    definition = schema["properties"][section]
    if "oneOf" in definition and "discriminator" not in definition:
        yield OF_DATA
        for title, model in DATA.items():
            yield f"### {title}\n\n{_about(model)}\n\n{_keys(section, model, schema)}\n"
        return
    if "discriminator" in definition:
        default = definition["default"]["name"]
        left_out = f"{code(default)} when the section is left out"
        yield f"## [{section}]\n\n`name` chooses one, and is required; {left_out}.\n"
        for name, reference in definition["discriminator"]["mapping"].items():
            model = _model(reference)
            yield f"### {section} {name}\n\n{_about(model)}\n\n{_keys(section, model, schema)}\n"
        return
    many = definition.get("type") == "array"
    model = _model((definition["items"] if many else definition)["$ref"])
    title = f"[[{section}]]" if many else f"[{section}]"
    yield f"## {title}\n\n{_about(model)}\n\n{_keys(section, model, schema)}\n"


def _model(reference: str) -> type[BaseModel]:
    name = reference.rsplit("/", 1)[-1]
    found: type[BaseModel] = getattr(sections, name, None) or getattr(strategies, name)
    return found


def _about(model: type[BaseModel]) -> str:
    """The first sentence of a model's docstring, without the name of the section."""
    text = prose((model.__doc__ or "").split("\n\n", 1)[0])
    said = text.split("`: ", 1)[-1]
    return said[:1].upper() + said[1:]


def _keys(section: str, model: type[BaseModel], schema: Schema) -> str:
    definition = schema["$defs"][model.__name__]
    required = definition.get("required", ())
    rows = []
    for name, key in definition["properties"].items():
        default = FROM_THE_FILE.get(f"{section}.{name}") or _default(
            key, is_required=name in required
        )
        kind, allowed = _kind_and_bounds(key, schema)
        rows.append((code(name), kind, default, allowed, prose(meaning(model, name))))
    return table(("key", "type", "default", "allowed", "meaning"), rows)


def _default(key: Schema, *, is_required: bool) -> str:
    if is_required:
        return "*required*"
    default = key.get("default", key.get("const"))
    if isinstance(default, dict) and "low" not in default:
        default = None
    return "left out" if default is None else code(_in_toml(default))


def _in_toml(value: Any) -> str:
    if isinstance(value, dict):
        ends = ", ".join(f"{end} = {_in_toml(value[end])}" for end in ("low", "high"))
        return f"{{ {ends} }}"
    return json.dumps(value)


def _kind_and_bounds(key: Schema, schema: Schema) -> tuple[str, str]:
    if choices := [each for each in key.get("anyOf", ()) if each.get("type") != "null"]:
        kinds, bounds = zip(*(_kind_and_bounds(each, schema) for each in choices), strict=True)
        return " or ".join(kinds), bounds[0]
    if "$ref" in key:
        definition = schema["$defs"][key["$ref"].rsplit("/", 1)[-1]]
        if "low" in definition.get("properties", ()):
            return _of_range(definition)
        return _kind_and_bounds(definition, schema)
    if key.get("type") == "object":
        return "table", ""
    if "const" in key or "enum" in key:
        values = key.get("enum", [key.get("const")])
        return "text", ", ".join(code(json.dumps(value)) for value in values)
    if key["type"] == "array":
        kind, allowed = _kind_and_bounds(key.get("items") or key["prefixItems"][0], schema)
        return f"array of {kind}", f"each {allowed}" if allowed else ""
    return KINDS[key["type"]], _bounds(key)


def _of_range(definition: Schema) -> tuple[str, str]:
    low = definition["properties"]["low"]
    kind = f"`{{ low, high }}` of {KINDS[low['type']]}s"
    return kind, f"{_bounds(low)}, low at most high"


def _bounds(key: Schema) -> str:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
        "minLength": "at least",
        "maxLength": "at most",
    }
    found = [
        f"{word} {_number(key[name])}{' characters' if name.endswith('Length') else ''}"
        for name, word in words.items()
        if name in key
    ]
    return ", ".join(found)


def _number(value: float) -> str:
    return "2^63" if value == 1 << 63 else f"{value:,}".removesuffix(".0")


def meaning(model: type[BaseModel], field: str) -> str:
    """What a field says of itself, or the docstring under it.

    Raises:
        LookupError: there is none.
    """
    if (described := model.model_fields[field].description) is not None:
        return described
    for owner in model.__mro__:
        if field in inspect.get_annotations(owner) and field in _docstrings(owner):
            return _docstrings(owner)[field]
    raise LookupError(f"{model.__name__}.{field} has no docstring below it")


@cache
def _docstrings(model: type) -> Mapping[str, str]:
    """The docstrings under the fields of a class."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    found[field.target.id] = text
    return found
