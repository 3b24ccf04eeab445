"""Searches of one study while processes and servers are killed, stopped and terminated."""

import os
import signal
from collections.abc import Callable

import pytest

from tests.faults.postgres import PostgresServer
from tests.faults.scene import GRACE_SECONDS, Scene, send

pytestmark = [pytest.mark.data, pytest.mark.faults, pytest.mark.storm]

TIMES = int(os.environ.get("FAULTS_TIMES", "1"))
"""So many times as many faults; 10 is the long mode."""

on_postgresql = pytest.mark.parametrize("scene", ["postgresql"], indirect=True)


def test_killed_workers_are_replaced_and_nothing_is_lost(scene: Scene) -> None:
    trials, faults = 0, 20 * TIMES
    while scene.faults < faults:
        trials += 60
        search = scene.start(trials, "--workers", "4")
        scene.until_more_have_finished()
        while scene.faults < faults and search.is_running:
            scene.pause(0.6)
            scene.kill_a_worker()
            # Five deaths without a finished trial end a search, as they should.
            scene.until_more_have_finished()
        scene.wait()
        scene.assert_whole(trials)


def test_killed_searches_leave_their_trials_to_the_others(scene: Scene) -> None:
    """Four searches, as on four machines; each that is killed is started again."""
    trials, faults = 0, 10 * TIMES
    folders = [scene.folder, *(scene.machine() for _ in range(3))]
    while scene.faults < faults:
        trials += 60
        for folder in folders:
            scene.start_in(folder, trials)
        while scene.faults < faults and scene.running:
            scene.until_more_have_finished(2)
            scene.pause(0.5)
            victim = scene.kill_a_worker()
            for search in [each for each in scene.searches if each.process.pid == victim]:
                search.process.wait()
                scene.start_in(search.folder, trials)
        scene.wait(0, -signal.SIGKILL)
        scene.assert_whole(trials)


def test_a_search_that_is_stopped_for_too_long_and_wakes_changes_nothing(scene: Scene) -> None:
    trials, faults = 0, 3 * TIMES
    while scene.faults < faults:
        trials += 400  # more than two searches finish meanwhile
        for _ in range(3):
            scene.start_in(scene.machine(), trials, FAKE_EPOCH_SECONDS="0.2")
        scene.until_more_have_finished(2)
        while scene.faults < faults and len(scene.running) > 1:
            victim = scene.random.choice(scene.running)
            os.kill(victim.process.pid, signal.SIGSTOP)
            scene.faults += 1
            try:
                scene.until(lambda: False, seconds=2.5 * GRACE_SECONDS)
            finally:
                os.kill(victim.process.pid, signal.SIGCONT)
            scene.until_more_have_finished()
        trials = end_early(scene)
        scene.assert_whole(trials)


def end_early(scene: Scene) -> int:
    """Ends searches that have more to do than the faults took; how many trials have finished."""
    for search in scene.running:
        send(search.process.pid, signal.SIGTERM)
    scene.wait(0, 128 + signal.SIGTERM)
    finished = scene.observe()
    last = scene.start(finished + 3)  # what was interrupted runs, and MLflow agrees
    assert last.process.wait() == 0, last.process.said
    return scene.observe()


@pytest.mark.parametrize("is_fake", [False])
def test_signals_end_a_search_tidily_and_the_same_command_goes_on(scene: Scene) -> None:
    """With real training."""
    trials, faults = 0, 5 * TIMES
    while scene.faults < faults:
        trials += 8
        search = scene.start(trials, *workers(scene))
        while scene.faults < faults and scene.until_more_have_finished():
            number = signal.SIGTERM if scene.faults % 2 else signal.SIGINT
            scene.pause(0.5)
            if not send(search.process.pid, number):
                break
            scene.faults += 1
            code = search.process.wait(60)
            assert code in (128 + number, 0), search.process.said  # 0: it had all its trials
            search = scene.start(trials, *workers(scene))
        scene.wait(0, 128 + signal.SIGTERM, 128 + signal.SIGINT)
        assert search.process.poll() == 0, search.process.said
        found = scene.assert_whole(trials)
        for trial in [trial for trial in found if trial.state == "interrupted"]:
            assert any(later.retry_of is not None for later in found[trial.number + 1 :])


def workers(scene: Scene) -> tuple[str, ...]:
    """Two workers for every second pair of signals; else the search runs its trials itself."""
    return () if scene.faults // 2 % 2 else ("--workers", "2")


def killed_for_a_while(scene: Scene, postgres: PostgresServer) -> None:
    postgres.kill()
    scene.pause(3)
    postgres.start()


def restarted(_scene: Scene, postgres: PostgresServer) -> None:
    postgres.restart()


@on_postgresql
@pytest.mark.parametrize(("outage", "times"), [(restarted, 3), (killed_for_a_while, 2)])
def test_an_outage_of_the_server_loses_nothing(
    scene: Scene,
    postgres: PostgresServer,
    outage: Callable[[Scene, PostgresServer], None],
    times: int,
) -> None:
    trials = 0
    while scene.faults < times * TIMES:
        trials += 60
        scene.start(trials, "--workers", "4")
        while scene.faults < times * TIMES and scene.until_more_have_finished(2):
            scene.pause(0.5)
            outage(scene, postgres)
            scene.faults += 1
        scene.wait()
        scene.assert_whole(trials)


@on_postgresql
def test_a_hundred_trials_with_eight_kills_end_at_exactly_a_hundred(scene: Scene) -> None:
    scene.start(100, "--workers", "4")
    while scene.faults < 8 and scene.until_more_have_finished(8):
        scene.kill_a_worker()
    scene.wait()
    assert scene.faults == 8
    scene.assert_whole(100)


@on_postgresql
def test_a_server_that_stays_away_ends_the_search(scene: Scene, postgres: PostgresServer) -> None:
    search = scene.start(1000, "--workers", "2")
    assert scene.until_more_have_finished(2)
    postgres.kill()
    scene.pause(2)
    send(search.process.pid, signal.SIGTERM)  # a search that is to stop does not wait for it
    assert search.process.wait(60) in (1, 143), search.process.said
    assert "Traceback" not in search.process.said
    postgres.start()
    again = scene.start(scene.observe() + 3, "--workers", "2")
    assert again.process.wait() == 0, again.process.said
    scene.observe()
    scene.assert_whole()
