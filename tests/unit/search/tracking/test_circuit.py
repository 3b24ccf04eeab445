"""The circuit: MLflow never costs a trial."""

import pytest

from search.tracking.circuit import FIRST_PAUSE_S, Circuit
from tests.unit.search.tracking.support import Warnings


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        """The time it was set to, in seconds."""
        return self.now


class Server:
    """An action that works or fails, and counts its calls."""

    def __init__(self) -> None:
        self.is_up = True
        self.calls = 0

    def __call__(self) -> str:
        """Work, or fail when down."""
        self.calls += 1
        if not self.is_up:
            raise ConnectionRefusedError("down")
        return "done"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(warnings: Warnings, clock: Clock) -> Circuit:
    return Circuit(warnings, str, clock)


def test_a_failing_action_warns_once_and_pauses(
    circuit: Circuit, clock: Clock, warnings: Warnings
) -> None:
    server = Server()
    assert circuit.attempt(server, "nothing") == "done"
    server.is_up = False
    assert [circuit.attempt(server, "nothing") for _ in range(5)] == ["nothing"] * 5
    assert server.calls == 2  # the rest was skipped
    clock.now += FIRST_PAUSE_S + 1
    assert circuit.attempt(server, "nothing") == "nothing"
    assert server.calls == 3
    clock.now += FIRST_PAUSE_S + 1  # the second pause is longer
    assert circuit.is_open
    assert len(warnings) == 1
    assert "down" in warnings[0]


def test_the_circuit_closes_when_the_server_answers_again(circuit: Circuit, clock: Clock) -> None:
    server = Server()
    server.is_up = False
    circuit.attempt(server, "nothing")
    server.is_up = True
    assert circuit.attempt(server, "nothing") == "nothing"
    assert circuit.attempt(server, "nothing", even_if_open=True) == "done"
    assert not circuit.is_open


def test_ctrl_c_goes_through_the_circuit(circuit: Circuit) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        circuit.attempt(interrupted, None)
