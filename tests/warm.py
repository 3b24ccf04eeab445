"""Commands that start in a moment: real processes, forked from one that has imported everything.

What a command imports takes six seconds of a core, and the tests start hundreds of them. The server
that forks them, one for each process of the tests, is Python's own (``multiprocessing``): it
imports, and starts neither a thread of Python nor a device of JAX. In the child the command runs
as ``python -m`` runs it, in a session of its own, with its own folder, environment and output.
"""

import atexit
import gc
import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.preloaded"])


class Process:
    """A command at work, with the part of the interface of ``subprocess.Popen`` that tests use.

    Args:
        module: what is run.
        arguments: of the command line.
        folder: where it runs.
        environment: all of its variables.
        output: a file for what it prints.
        errors: a file for its errors; may be the same.
        is_fake: whether its trials train nothing, see :mod:`tests.faults.fake`.
    """

    def __init__(
        self,
        module: str,
        arguments: tuple[str, ...],
        *,
        folder: Path,
        environment: Mapping[str, str],
        output: Path,
        errors: Path,
        is_fake: bool = False,
    ) -> None:
        self.output = output
        for path in (output, errors):
            path.touch(mode=0o600)
        streams = (str(output), str(errors))
        given = (module, arguments, str(folder), dict(environment), streams, is_fake)
        self._process: ForkServerProcess = _context.Process(target=_run, args=given)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.exitcode

    def wait(self, timeout: float = 300) -> int:
        """Waits for its end; returns its exit code."""
        self._process.join(timeout)
        code = self._process.exitcode
        assert code is not None, f"it has not ended after {timeout:g} s; it said:\n{self.said}"
        return code

    def communicate(self, timeout: float = 300) -> str:
        """All that it has printed once it has ended."""
        self.wait(timeout)
        return self.said

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def lines(self) -> Iterator[str]:
        """Its lines from the first on, as they come, until it ends."""
        with self.output.open(encoding="utf-8", errors="replace") as file:
            line = ""
            while True:
                has_ended = self.poll() is not None
                line += file.readline()
                if line.endswith("\n"):
                    yield line
                    line = ""
                elif has_ended:
                    return
                else:
                    time.sleep(0.02)


def _run(
    module: str,
    arguments: tuple[str, ...],
    folder: str,
    environment: Mapping[str, str],
    streams: tuple[str, str],
    is_fake: bool,
) -> None:
    """In the child: becomes the command."""
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as in a terminal, also under nohup
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, path in enumerate(streams, start=1):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", write_through=True)  # type: ignore[union-attr]
    sys.argv = [module, *arguments]
    if is_fake:
        from tests.faults.fake import train_nothing

        train_nothing()
    elif "FAKE_DIES" in environment:
        from tests.faults.fake import die_in_epochs

        die_in_epochs()
    code: str | int | None = None
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    finally:
        atexit._run_exitfuncs()
        gc.collect()  # a forked process ends without closing the databases that are still open
    sys.exit(code)
