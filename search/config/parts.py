"""The code that a study names: where it lies, and which it is.

Nothing of it is imported here: a report or a comparison runs no code of others.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from deeprec.parts import SHIPPED
from search.config.study import StudySpec

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
