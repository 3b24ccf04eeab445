"""Parts of a training that its users bring: towers, losses and metrics, by the names of their code.

A part is named ``module:attribute``, or by a short name: one of those that come along
(:data:`SHIPPED`), or an entry point of an installed package in the group of its kind, such as
``deeprec.towers``. What a part takes beyond the arguments of its kind it asks for by name, such as
``heads``: the values of a trial are given to those that name them.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import entry_points
from typing import Any, Literal

from deeprec.errors import printable

Kind = Literal["towers", "loss", "metric"]

SHIPPED: Mapping[Kind, Mapping[str, str]] = {
    "towers": {
        "cross": "deeprec.model.cross:CrossTower",
        "attention": "deeprec.model.attention:AttentionTower",
        "sum": "deeprec.model.summed:SumTower",
    },
    "loss": {},
    "metric": {},
}
"""What comes along, by short name."""

GROUPS: Mapping[Kind, str] = {
    "towers": "deeprec.towers",
    "loss": "deeprec.losses",
    "metric": "deeprec.metrics",
}
"""Of entry points, in which packages give short names to their parts."""

PLACE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)

Function = Callable[..., Any]


class PartError(ValueError):
    """A part cannot be used; the message is for people, in one line."""


@cache
def place_of(kind: Kind, name: str) -> str:
    """The ``module:attribute`` that a name stands for; nothing is imported.

    Raises:
        PartError: it stands for none.
    """
    if PLACE.fullmatch(name):
        return name
    found = SHIPPED[kind].get(name)
    if found is None:
        named = [each.value for each in entry_points(group=GROUPS[kind], name=name)]
        found = next((value for value in named if PLACE.fullmatch(value)), None)
    if found is None:
        short = ", ".join(map(repr, SHIPPED[kind]))
        raise PartError(
            f"must be module:attribute{f', one of {short},' if short else ''} or an entry point of "
            f"the group {GROUPS[kind]} but got {name[:80]!r}"
        )
    return found


@contextmanager
def aside() -> Iterator[None]:
    """What users' code prints meanwhile goes to standard error: results have the output alone."""
    with redirect_stdout(sys.stderr):
        yield


@dataclass(frozen=True)
class Part:
    """Code that a user has brought, imported when it is first asked for."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        """Such as ``towers 'my_package:Towers'``."""
        return f"{self.kind} {self.name!r}"

    @property
    def place(self) -> str:
        """Its ``module:attribute``."""
        return place_of(self.kind, self.name)

    @cached_property
    def function(self) -> Function:
        """The code itself.

        Raises:
            PartError: it cannot be imported, or called.
        """
        module, _, attribute = self.place.partition(":")
        try:
            with aside():
                found = getattr(importlib.import_module(module), attribute)
        except Exception as error:
            raise PartError(f"{self} cannot be imported: {what_happened(error)}") from error
        if not callable(found):
            raise PartError(f"{self} must be callable but is a {type(found).__name__}")
        return found

    @cached_property
    def asked_for(self) -> Mapping[str, bool]:
        """What it takes by name, and whether it must be given.

        Raises:
            PartError: its arguments cannot be known.
        """
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError) as error:
            raise PartError(f"{self} must have a signature but {what_happened(error)}") from error
        given = ARGUMENTS[self.kind]
        positional = [each for each in parameters if each.kind in _POSITIONAL]
        named = [each for each in parameters if each.kind == inspect.Parameter.KEYWORD_ONLY]
        if len(positional) < len(given) and not any(
            each.kind == inspect.Parameter.VAR_POSITIONAL for each in parameters
        ):
            raise PartError(f"{self} must take {', '.join(given)} but takes {len(positional)}")
        return {
            each.name: each.default is inspect.Parameter.empty
            for each in [*positional[len(given) :], *named]
        }

    def call(self, *arguments: Any, **values: Any) -> Any:
        """What it returns, given those of the values that it asks for."""
        own = {name: value for name, value in values.items() if name in self.asked_for}
        with aside():
            return self.function(*arguments, **own)


ARGUMENTS: Mapping[Kind, tuple[str, ...]] = {
    "towers": ("schema", "side"),
    "loss": ("scores", "users", "movies", "weights"),
    "metric": ("items", "hits", "counts", "k"),
}
"""What every part of a kind is given, in this order."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def what_happened(error: BaseException) -> str:
    """An error of users' code in a line."""
    text = printable(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_trusted: ContextVar[Collection[str]] = ContextVar("_trusted", default=())


@contextmanager
def trusting(names: Collection[str]) -> Iterator[None]:
    """Lets a file that is loaded meanwhile name these parts, whose code is imported and run."""
    token = _trusted.set(names)
    try:
        yield
    finally:
        _trusted.reset(token)


def check_trusted(part: Part) -> None:
    """PartError unless a file may name the part: it comes along, or the caller has named it."""
    if part.name not in SHIPPED[part.kind] and part.name not in _trusted.get():
        raise PartError(
            f"{part.kind} {printable(part.name, 80)!r} is code, which is run only where it is "
            "trusted by name: give its study with --study, or the name with --trust"
        )
