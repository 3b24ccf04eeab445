"""Compiled programs, kept for the next training of the same architecture.

``jax.jit`` would keep every program of every architecture ever tried, and all that tracing it left
behind. Here the most recently used ones stay, and nothing else: a search that meets an
architecture again neither traces nor compiles it, and one that never does so does not grow.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any

import jax

MAX_PROGRAMS = 16

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

    Returns:
        The program: called with such arguments, it computes on the device what the function says.
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
