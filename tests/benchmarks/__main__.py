"""``python -m tests.benchmarks [ROW ...]``: measures and prints one table."""

import argparse
import sys
from collections.abc import Sequence

from tests.benchmarks.harness import ROWS, machine, measure_all, shown


def main(given: Sequence[str] | None = None) -> int:
    """Measures the rows named on the command line.

    Returns:
        0 when every row was measured, whether its target is met or missed; 1 when one could not
        be measured; 2 for bad input.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="little work: figures mean nothing")
    arguments = parser.parse_args(given)
    unknown = [name for name in arguments.rows if name not in ROWS]
    if unknown:
        allowed = ", ".join(ROWS)
        sys.stderr.write(f"error: rows must be of {allowed} but got {', '.join(unknown)}\n")
        return 2
    names = [name for name in ROWS if name in arguments.rows] or ROWS
    before = machine()  # its load, before there is ours
    results = list(measure_all(names, quick=arguments.quick))
    sys.stdout.write(f"{before}\n\n{shown(results)}\n")
    return 1 if any(result.failure for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
