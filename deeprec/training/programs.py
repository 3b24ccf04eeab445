"""Compiled programs, kept for the next training of the same architecture, and on disk.

``jax.jit`` would keep every program of every architecture ever tried, and all that tracing it left
behind. Here the most recently used ones stay, and nothing else.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import jax

MAX_PROGRAMS = 16

MAX_BYTES_ON_DISK = 1 << 30

QUICK_TO_COMPILE: Mapping[str, str | bool] = {
    "xla_backend_optimization_level": "1",
    "xla_cpu_use_fusion_emitters": False,
}
"""For a program that runs a few times only: on a CPU half the time to compile it.

Nothing is known of what these options do elsewhere, so they are left out there."""

Program = Callable[..., Any]

_programs: OrderedDict[Hashable, Program] = OrderedDict()


def compiled(
    function: Callable[..., Any],
    static: Hashable,
    *arguments: Any,
    options: Mapping[str, str | bool] | None = None,
) -> Program:
    """The program of ``function(static, *arguments)`` for arguments of these shapes and types.

    Args:
        function: a function of a module; it is called once, to be traced.
        static: decides, with the shapes and types of the arguments, what the program is.
        arguments: trees of arrays; their values do not matter.
        options: for XLA's compiler on a CPU; always the same ones for a function.
    """
    leaves, structure = jax.tree.flatten(arguments)
    shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves)
    key = (function, static, structure, shapes)
    if key not in _programs:
        traced = jax.jit(partial(function, static)).lower(*arguments)
        is_cpu = jax.default_backend() == "cpu"
        _programs[key] = traced.compile(dict(options) if options and is_cpu else None)
        while len(_programs) > MAX_PROGRAMS:
            _programs.popitem(last=False)
    _programs.move_to_end(key)
    return _programs[key]


def use_compilation_cache(folder: Path) -> None:
    """Keeps compiled programs in ``folder``, for this process and later ones.

    Does nothing where JAX's own switch, ``JAX_ENABLE_COMPILATION_CACHE=false``, turns caching off.
    A cached program is code that will run: the folder is made for its owner alone, and must be
    trusted as the code itself is. Where it exceeds 1 GiB at the start of a process, the programs
    that were written first go until half of it is left. JAX's own limit would read a file for every
    program that is kept, for every one that is added: minutes a search with thousands of them.

    Raises:
        OSError: the folder cannot be made, or is another user's. Nothing is kept then.
    """
    if not jax.config.jax_enable_compilation_cache:  # type: ignore[attr-defined]
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    _trim(folder, MAX_BYTES_ON_DISK)
    settings = {
        "jax_compilation_cache_dir": str(folder),
        "jax_compilation_cache_max_size": -1,  # none
        # A model is a few large programs and dozens of tiny ones: keep the tiny ones as well.
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in settings.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]


def _trim(folder: Path, most: int) -> None:
    """Halves the files of a folder, the oldest first, where they have more bytes than ``most``.

    Another process may do the same.
    """
    files = []
    with os.scandir(folder) as entries:
        for each in entries:
            with suppress(FileNotFoundError):
                files.append((each.stat(), each.path))
    left = sum(stat.st_size for stat, _ in files)
    if left <= most:
        return
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
        if left <= most // 2:
            return
        Path(path).unlink(missing_ok=True)
        left -= stat.st_size
