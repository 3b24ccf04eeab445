"""``python -m tests.experiments NAME [ARGUMENT ...]``: runs an experiment and prints its table."""

import importlib
import os
import sys
from pathlib import Path

NAMES = sorted(
    path.stem for path in Path(__file__).parent.glob("*.py") if "\ndef main(" in path.read_text()
)


def run(given: list[str]) -> int:
    """Runs the experiment that is named first; 2 where there is none of that name."""
    if not given or given[0] not in NAMES:
        named = repr(given[0]) if given else "nothing"
        sys.stderr.write(f"error: NAME must be one of {', '.join(NAMES)} but got {named}\n")
        return 2
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: threads wait for each other
    importlib.import_module(f"{__package__}.{given[0]}").main(given[1:])
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
