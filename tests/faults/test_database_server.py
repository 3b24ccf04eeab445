"""A PostgreSQL server that restarts, or is killed, while four workers search."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.postgres import PostgresServer
from tests.faults.scene import Scene
from tests.faults.test_processes import LONG, kill

pytestmark = [pytest.mark.data, pytest.mark.faults, pytest.mark.storm]


@pytest.fixture
def scene(tmp_path: Path, small_cache_home: Path, database: str) -> Iterator[Scene]:
    made = Scene(tmp_path, small_cache_home, storage=database, seed=2)
    try:
        yield made
    finally:
        made.close()


def killed_for_a_while(scene: Scene, postgres: PostgresServer) -> None:
    postgres.kill()
    scene.pause(3)
    postgres.start()


def restarted(scene: Scene, postgres: PostgresServer) -> None:
    postgres.restart()


@pytest.mark.parametrize(("outage", "times"), [(restarted, 3), (killed_for_a_while, 2)])
def test_an_outage_of_the_server_loses_nothing(
    scene: Scene,
    postgres: PostgresServer,
    outage: Callable[[Scene, PostgresServer], None],
    times: int,
) -> None:
    trials = 0
    while scene.faults < times * LONG:
        trials += 20
        command = scene.start(trials, "--workers", "4")
        while scene.faults < times * LONG and scene.until_more_is_told(2):
            scene.pause(0.5)
            outage(scene, postgres)
            scene.faults += 1
        scene.wait()
        assert command.process.returncode == 0, command.said
        assert "Traceback" not in command.said
        scene.assert_whole(trials)


def test_a_hundred_trials_with_eight_kills_end_at_exactly_a_hundred(scene: Scene) -> None:
    command = scene.start(100, "--workers", "4")
    while scene.faults < 8 and scene.until_more_is_told(8):
        if kill(scene.random.choice(scene.workers)):
            scene.faults += 1
    scene.wait()
    assert scene.faults == 8
    assert command.process.returncode == 0, command.said
    scene.assert_whole(100)


def test_a_server_that_stays_away_ends_the_search_with_the_reason(
    scene: Scene, postgres: PostgresServer
) -> None:
    command = scene.start(1000, "--workers", "2")
    assert scene.until_more_is_told(2)
    postgres.kill()
    scene.pause(2)
    kill(command.process.pid, signal.SIGTERM)  # whoever is told to stop does not wait for it
    assert command.process.wait(60) in (1, 143), command.said
    assert "Traceback" not in command.said
    postgres.start()
    again = scene.start(scene.observe() + 3, "--workers", "2")
    scene.wait()
    assert again.process.returncode == 0, again.said
    scene.assert_whole(sum(t.state.name in ("COMPLETE", "PRUNED") for t in scene.study.trials))
