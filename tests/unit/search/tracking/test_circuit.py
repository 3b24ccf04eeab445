"""The circuit: MLflow never costs a trial."""

import threading
from functools import partial

import pytest

from search.tracking.circuit import FIRST_PAUSE_S, SLOW_S, Circuit
from tests.unit.search.tracking.support import Clock, Warnings


class Server:
    """An action that works or fails, and counts its calls."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.is_up = True
        self.calls = 0
        self.clock = clock or Clock()
        self.takes_s = 0.0

    def __call__(self) -> str:
        self.calls += 1
        self.clock.now += self.takes_s
        if not self.is_up:
            raise ConnectionRefusedError("down")
        return "done"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(warnings: Warnings, clock: Clock) -> Circuit:
    return Circuit(warnings, str, clock)


@pytest.fixture
def action(clock: Clock) -> Server:
    return Server(clock)


def test_a_failure_warns_once(
    circuit: Circuit, clock: Clock, action: Server, warnings: Warnings
) -> None:
    assert circuit.attempt(action, "nothing") == "done"
    action.is_up = False
    assert [circuit.attempt(action, "nothing") for _ in range(5)] == ["nothing"] * 5
    assert action.calls == 2  # the rest was skipped
    clock.now += FIRST_PAUSE_S + 1
    assert circuit.attempt(action, "nothing") == "nothing"
    assert action.calls == 3
    clock.now += FIRST_PAUSE_S + 1  # the second pause is longer
    assert circuit.is_open
    assert len(warnings) == 1
    assert "down" in warnings[0]


def test_each_outage_is_warned_of_once(
    circuit: Circuit, action: Server, warnings: Warnings
) -> None:
    for outage in (1, 2):
        action.is_up = False
        for _ in range(3):
            assert circuit.attempt(action, "nothing", even_if_open=True) == "nothing"
        assert len(warnings) == outage
        action.is_up = True
        assert circuit.attempt(action, "nothing") == "nothing"
        assert circuit.attempt(action, "nothing", even_if_open=True) == "done"
        assert not circuit.is_broken
        assert not circuit.is_open


def test_ctrl_c_goes_through_the_circuit(circuit: Circuit) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        circuit.attempt(interrupted, None)


def test_a_server_that_answers_slowly_is_left_alone_like_one_that_fails(
    circuit: Circuit, clock: Clock, action: Server, warnings: Warnings
) -> None:
    action.takes_s = SLOW_S + 1
    assert circuit.attempt(action, "nothing", slow_s=60) == "done"  # known to take long
    assert not circuit.is_broken
    assert circuit.attempt(action, "nothing") == "done"  # what it did is done
    assert circuit.is_open
    assert circuit.attempt(action, "nothing") == "nothing"
    assert action.calls == 2
    clock.now += FIRST_PAUSE_S
    assert circuit.attempt(action, "nothing") == "done"
    clock.now += FIRST_PAUSE_S  # the second pause is longer
    assert circuit.is_open
    assert len(warnings) == 1
    assert "slow, an update took 11 s" in warnings[0]


def test_threads_act_one_after_the_other_and_wait_for_a_bounded_time(warnings: Warnings) -> None:
    circuit = Circuit(warnings, str, turn_s=0.1)
    has_begun, may_end = threading.Event(), threading.Event()

    def long() -> bool:
        has_begun.set()
        return may_end.wait(10)

    other = threading.Thread(target=partial(circuit.attempt, long, None))
    other.start()
    assert has_begun.wait(10)
    server = Server()
    assert circuit.attempt(server, "nothing", even_if_open=True) == "nothing"
    assert server.calls == 0
    may_end.set()
    other.join(10)
    assert circuit.attempt(server, "nothing") == "done"
    assert warnings == []
