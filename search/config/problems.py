"""Turns what Pydantic finds wrong in a study file into sentences for people.

Each names the key (``space.depth.low``), what it must be, what it was, and, where a name is
misspelled, what was probably meant.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
SHOWN_CHARACTERS = 80

_RULES: Mapping[str, str] = {
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "tuple_type": "must be an array",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "finite_number": "must be finite",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
}
"""What a value must be, by Pydantic's type of error; filled in from the error's context."""


def sentences(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """What is wrong with a file that ``root`` is the model of, one sentence an error."""
    return [_sentence(detail, root) for detail in error.errors(include_url=False)]


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """``" (did you mean 'tpe'?)"``, or nothing where no known name is close."""
    close = difflib.get_close_matches(given, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _sentence(detail: ErrorDetails, root: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(detail["loc"], root)
    name, models = _resolve(detail["loc"], root)
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return _unknown_choice(name, models, context.get("tag"))
    if kind == "missing":
        return f"{name} is missing"
    if kind == "value_error":
        return f"{name} {context['error']}".strip()
    rule = _RULES[kind].format(**context) if kind in _RULES else f"is not valid: {detail['msg']}"
    return f"{name} {rule} but got {_shown(detail['input'])}"


def _unknown_key(location: tuple[int | str, ...], root: type[BaseModel]) -> str:
    section, models = _resolve(location[:-1], root)
    allowed = [field for model in models for field in model.model_fields]
    return unknown_key(section, str(location[-1]), allowed)


def unknown_key(section: str, key: str, allowed: Sequence[str]) -> str:
    """That a section has none of these keys, and which was probably meant."""
    where = f"of {section}" if section else "of the file"
    return (
        f"unknown key {_joined(section, key)}: the keys {where} are {', '.join(allowed)}"
        f"{did_you_mean(key, allowed)}"
    )


def _unknown_choice(section: str, models: Sequence[type[BaseModel]], given: object) -> str:
    choices = sorted(_tag(model) for model in models)
    allowed = ", ".join(choices)
    if given is None:
        return f"{section}.name is missing: it must be one of {allowed}"
    hint = did_you_mean(str(given), choices)
    return f"{section}.name must be one of {allowed} but got {_shown(given)}{hint}"


def _resolve(
    location: Sequence[int | str], root: type[BaseModel]
) -> tuple[str, list[type[BaseModel]]]:
    """The name of a place in the file, and the models that describe it.

    Pydantic's location is almost the name; but where a section has several models, chosen by
    its ``name`` (a sampler), the location also holds that choice, which is no key of the file.
    """
    name, models = "", [root]
    for part in location:
        if isinstance(part, int):
            name = f"{name}[{part}]"
            continue
        if len(models) > 1:
            models = [model for model in models if _tag(model) == part]
            continue
        name = _joined(name, part)
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [inner for field in fields for inner in _models_in(field.annotation)]
    return name, models


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models in an annotation such as ``tuple[Model, ...]`` or ``ModelA | ModelB``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _tag(model: type[BaseModel]) -> str:
    """What chooses a model among several: its name, or else its first key."""
    field = model.model_fields.get("name")
    if field is not None and isinstance(field.default, str):
        return field.default
    return next(iter(model.model_fields))


def _joined(section: str, key: str) -> str:
    shown = key if BARE_KEY.fullmatch(key) else _shown(key)
    return f"{section}.{shown}" if section else shown


def _shown(value: object) -> str:
    """A value of the file on one line: tables and arrays by kind, long text cut."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    text = repr(value) if isinstance(value, str | int | float | list) else repr(str(value))
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."
