"""``python -m tests.benchmarks [ROW ...]``: measures and prints one table."""

import argparse
import sys

from tests.benchmarks.machine import Machine
from tests.benchmarks.printing import as_markdown, as_text
from tests.benchmarks.results import Failure
from tests.benchmarks.rows import ROWS, measure_all

FAILED = 1
BAD_INPUT = 2


def main() -> int:
    """Measures the rows named on the command line.

    Returns:
        0 when every row was measured, whether its target is met or missed; 1 when one could not
        be measured; 2 for bad input.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="little work: figures mean nothing")
    parser.add_argument("--markdown", action="store_true", help="print the table of the README")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.rows if name not in ROWS]
    if unknown:
        allowed = ", ".join(ROWS)
        sys.stderr.write(f"error: rows must be of {allowed} but got {', '.join(unknown)}\n")
        return BAD_INPUT
    names = [name for name in ROWS if name in arguments.rows] or ROWS
    machine = Machine.this_one()  # its load, before there is ours
    outcomes = list(measure_all(names, quick=arguments.quick))
    table = as_markdown if arguments.markdown else as_text
    sys.stdout.write(table(outcomes, machine) + "\n")
    return FAILED if any(isinstance(outcome, Failure) for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
