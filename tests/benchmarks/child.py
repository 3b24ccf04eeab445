"""The process that :func:`tests.benchmarks.fresh.call` starts.

``python -m tests.benchmarks.child MODULE:FUNCTION JSON`` prints what the function returns as one
line of JSON. Whatever else it prints goes to standard error.
"""

import importlib
import json
import os
import sys

from tests.benchmarks.fresh import MeasurementError


def main(function: str, arguments: str) -> None:
    """Calls the function of a module of this package with the keyword arguments."""
    # The answer is alone on standard output: libraries print there as they like.
    answer = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    module_name, _, name = function.partition(":")
    module = importlib.import_module(f"{__package__}.{module_name}")
    returned = getattr(module, name)(**json.loads(arguments))
    with os.fdopen(answer, "w", encoding="utf-8") as stream:
        stream.write(json.dumps(returned) + "\n")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except MeasurementError as error:
        sys.exit(str(error))
