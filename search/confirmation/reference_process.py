"""Measures references: ``python -m search.confirmation.reference_process DESCRIPTOR``.

It is given its study over a socket, sends back what it measures, and ends with its parent. The
signals that stop a search stay blocked, as they were when it was started: its parent ends it.
"""

import os
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from search.display.console import keep_writable
from search.execution.runtime import prepare_runtime
from search.execution.workers import Crashed, Measured

LEAST_PRIORITY = 19


def main() -> None:
    """Measures what its parent asks for, one reference after the other."""
    keep_writable()
    _give_way()
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    assignment = connection.recv()
    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    try:
        prepare_runtime()
        from search.confirmation.references import validated
        from search.execution.data import load_data

        data = load_data(assignment.spec, assignment.data_dir)
        if data.dataset.fingerprint != assignment.data_fingerprint:
            raise ValueError("the prepared data set changed")
        for name in assignment.references:
            connection.send(Measured(name, validated(data, name)))
    except Exception as error:
        connection.send(Crashed(f"{type(error).__name__}: {error}"))


def _give_way() -> None:
    """Takes what others leave of the processors; where memory runs out, this process ends first."""
    os.nice(LEAST_PRIORITY)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _end_with_parent(connection: "Connection[Any, Any]") -> None:
    """Ends this process once the parent is gone, whatever it computes."""
    with suppress(EOFError, OSError):
        while True:
            connection.recv()
    os._exit(0)


if __name__ == "__main__":
    main()
