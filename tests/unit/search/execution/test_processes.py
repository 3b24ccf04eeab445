"""Stopping a search: the first signal leaves a reason, the second ends the process at once."""

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from search.config.addresses import PROJECT
from search.execution.processes import StopRequest

TWICE = """
import os, sys, time
import signal
from search.execution.processes import StopRequest
signal.signal(signal.SIGHUP, signal.SIG_DFL)
with StopRequest(lambda line: print(line, flush=True)) as stop:
    try:
        for number in map(int, sys.argv[1:]):
            os.kill(os.getpid(), number)
            while stop.reason is None:
                time.sleep(0.01)
        time.sleep(60)
    finally:
        print("tidied up", flush=True)
"""

IN_COMPILED_CODE = """
import ctypes
from search.execution.processes import StopRequest
with StopRequest(lambda line: print(line, flush=True)):
    print("ready", flush=True)
    # In C and without the interpreter's lock, as a compiled epoch is, and for ever: a mutex that
    # is locked twice. A signal does not end the wait.
    c, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(128)
    c.pthread_mutex_init(mutex, None)
    c.pthread_mutex_lock(mutex)
    c.pthread_mutex_lock(mutex)
"""


@pytest.fixture(autouse=True)
def _not_after_nohup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def send(stop: StopRequest, number: signal.Signals) -> None:
    """Sends the signal to this process, and waits until it was heard."""
    os.kill(os.getpid(), number)
    while stop.reason is None:
        time.sleep(0.001)


def send_again(number: signal.Signals) -> None:
    """Sends a signal to this process whose handler raises."""
    os.kill(os.getpid(), number)
    time.sleep(60)


def send_all(
    *numbers: signal.Signals, stderr: int = subprocess.STDOUT, program: str = TWICE
) -> subprocess.CompletedProcess[str]:
    """A child process that sends itself all of the signals."""
    arguments = [str(int(number)) for number in numbers]
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("number", "reason", "exit_code"),
    [
        (signal.SIGINT, "interrupted from the keyboard", 130),
        (signal.SIGTERM, "terminated", 143),
        (signal.SIGHUP, "the terminal was closed", 129),
    ],
)
def test_the_first_signal_is_kept(number: signal.Signals, reason: str, exit_code: int) -> None:
    said: list[str] = []
    with StopRequest(said.append) as stop:
        send(stop, number)
        assert (stop.reason, stop.exit_code) == (reason, exit_code)
    assert said == ["stopping after this epoch; press Ctrl-C again to stop at once"]


def test_the_second_interrupt_of_a_program_that_is_not_ours_is_raised() -> None:
    at_once: list[bool] = []
    listening = StopRequest(
        lambda _line: None, at_once=lambda: at_once.append(True), owns_process=False
    )
    with listening as stop:
        send(stop, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt, match="from the keyboard"):
            send_again(signal.SIGINT)
    assert at_once == [True], "workers are taken along"


def test_in_another_thread_nothing_is_listened_to() -> None:
    found: list[str | None] = []

    def enter() -> None:
        with StopRequest(pytest.fail) as stop:
            found.append(stop.reason)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [None]


def test_a_signal_that_is_ignored_stays_ignored_as_after_nohup() -> None:
    said: list[str] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with StopRequest(said.append) as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        send(stop, signal.SIGTERM)
    assert (stop.reason, len(said)) == ("terminated", 1)


def test_without_a_signal_there_is_no_reason_and_signals_do_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ValueError, match="an error"), StopRequest(pytest.fail) as stop:
        raise ValueError("an error")
    assert (stop.reason, stop.exit_code) == (None, 0)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_is_heard_while_compiled_code_runs() -> None:
    # No handler in Python gets a turn before the call into C returns, which it never does.
    child = subprocess.Popen(
        [sys.executable, "-c", IN_COMPILED_CODE], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    watchdog = threading.Timer(30, child.kill)
    watchdog.start()
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline().startswith("stopping after this epoch")
        child.send_signal(signal.SIGINT)
        assert child.wait() == 130
    watchdog.cancel()


@pytest.mark.parametrize(
    ("numbers", "exit_code"),
    [
        ((signal.SIGINT, signal.SIGINT), 130),
        ((signal.SIGTERM, signal.SIGTERM), 143),
        ((signal.SIGTERM, signal.SIGINT), 130),
        ((signal.SIGHUP, signal.SIGHUP, signal.SIGTERM), 143),  # a logout sends several
    ],
)
def test_the_second_signal_ends_it_all(numbers: tuple[signal.Signals, ...], exit_code: int) -> None:
    done = send_all(*numbers)
    assert done.returncode == exit_code
    assert done.stdout == "stopping after this epoch; press Ctrl-C again to stop at once\n"


def test_at_the_second_signal_others_are_taken_along_first() -> None:
    taken = "flush=True), at_once=lambda: os.write(1, b'taken'))"
    program = TWICE.replace("flush=True))", taken, 1)
    done = send_all(signal.SIGTERM, signal.SIGTERM, program=program)
    assert done.returncode == 143
    assert done.stdout.endswith("at once\ntaken")


def test_the_cursor_that_a_live_view_hides_comes_back() -> None:
    terminal, stderr = pty.openpty()
    try:
        done = send_all(signal.SIGINT, signal.SIGINT, stderr=stderr)
        assert done.returncode == 130
        assert b"\x1b[?25h" in os.read(terminal, 100)
    finally:
        os.close(terminal)
        os.close(stderr)
